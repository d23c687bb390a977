/**
 * Removal of directory trees in two steps: a rename, after which the tree counts as gone, and the deletion of its files,
 * which may take seconds and happens elsewhere. What a death leaves here is deleted at the next start.
 */
import { mkdirSync, readdirSync, renameSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { isSmallTree } from './tree-usage.ts';

/** Trees of up to this many entries are deleted by this process: that is faster than handing them on. */
const smallTree = 64;

export class Trash {
  readonly #root: string;
  readonly #log: Log;
  readonly #remove: (directories: readonly string[]) => Promise<void>;
  #last = 0;
  #waiting: string[] = [];
  #emptying: Promise<void> | undefined;
  readonly #small = new Set<Promise<void>>();

  /** `remove` deletes trees without holding up the event loop. */
  constructor(root: string, log: Log, remove: (directories: readonly string[]) => Promise<void>) {
    this.#root = root;
    this.#log = log;
    this.#remove = remove;
    mkdirSync(root, { recursive: true, mode: 0o700 });
    this.#waiting = readdirSync(root).map((name) => join(root, name));
    this.#last = Math.max(0, ...readdirSync(root).map((name) => Number(name) || 0));
  }

  /** Takes a tree out of the way and deletes it in the background. Idempotent for one that is gone. */
  discard(directory: string): void {
    this.#last += 1;
    const place = join(this.#root, String(this.#last));
    try {
      renameSync(directory, place);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return;
      throw error;
    }
    if (isSmallTree(place, smallTree)) {
      const removal = this.#removeSmall(place).finally(() => this.#small.delete(removal));
      this.#small.add(removal);
    } else {
      this.#waiting.push(place);
      this.empty();
    }
  }

  /** In the thread pool: even a few files may wait for a busy disk. */
  async #removeSmall(place: string): Promise<void> {
    try {
      await rm(place, { recursive: true, force: true });
    } catch (error) {
      this.#log.warn(
        { directory: place, err: error },
        `a removed snapshot could not be deleted: ${messageOf(error)}`,
      );
    }
  }

  /** Deletes what is there, in the background. */
  empty(): void {
    if (this.#emptying || this.#waiting.length === 0) return;
    this.#emptying = this.#emptyAll().finally(() => {
      this.#emptying = undefined;
    });
  }

  async #emptyAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const directories = this.#waiting.splice(0);
      try {
        await this.#remove(directories);
      } catch (error) {
        // They stay for the next start, and are seen as used space until then.
        this.#log.warn(
          { directories, err: error },
          `removed layers could not be deleted: ${messageOf(error)}`,
        );
      }
    }
  }

  /** Resolves when nothing is left to delete. */
  async settled(): Promise<void> {
    await Promise.all([this.#emptying, ...this.#small]);
  }
}
