/**
 * Watches a folder of small files (inotify). The folder may be absent, appear, go and come back; while it is absent, the
 * nearest folder above it is watched.
 */
import { type FSWatcher, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf } from '#base/errors.ts';

/** Files are often written in several steps; one call serves the events of this span. */
const settleMs = 20;

export interface FolderWatchOptions {
  readonly dir: string;
  /** Something in the folder may have changed. Must not throw. */
  readonly onChange: () => void;
  /** The kernel gives no watch (none left, for instance); `isWatching` is false from now on. */
  readonly onFailure: (error: unknown) => void;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** The folder itself, or the nearest one above it that exists. */
function nearestFolder(dir: string): string {
  let candidate = dir;
  while (candidate !== '/' && !isFolder(candidate)) candidate = dirname(candidate);
  return candidate;
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

export class FolderWatch {
  readonly #options: FolderWatchOptions;
  #watcher: FSWatcher | undefined;
  #watched: { path: string; inode: number | undefined } | undefined;
  #settling: NodeJS.Timeout | undefined;
  #isStopped = true;

  constructor(options: FolderWatchOptions) {
    this.#options = options;
  }

  /** False before the start, after the stop, and where the kernel gave no watch: look at each use instead. */
  get isWatching(): boolean {
    return this.#watcher !== undefined;
  }

  /** Watches from now on: look at the folder after this, and no change falls between. Idempotent. */
  start(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    this.#watch();
  }

  /** Idempotent. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#settling);
    this.#settling = undefined;
    this.#unwatch();
  }

  #unwatch(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#watched = undefined;
  }

  #watch(): void {
    const { dir, onFailure } = this.#options;
    // Each turn finds the folder, or one above it, in place; a turn is lost only to a change made in that very moment.
    for (let turn = 0; turn < 100; turn += 1) {
      const path = nearestFolder(dir);
      try {
        const watcher = watch(path, { persistent: false }, () => this.#settle());
        watcher.on('error', () => this.#settle());
        this.#watcher = watcher;
        this.#watched = { path, inode: inodeOf(path) };
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') continue;
        onFailure(error);
        return;
      }
      if (nearestFolder(dir) === path) return;
      this.#unwatch();
    }
  }

  #settle(): void {
    if (this.#isStopped || this.#settling) return;
    this.#settling = setTimeout(() => {
      this.#settling = undefined;
      this.#changed();
    }, settleMs).unref();
  }

  #changed(): void {
    const nearest = nearestFolder(this.#options.dir);
    if (this.#watched?.path !== nearest || this.#watched.inode !== inodeOf(nearest)) {
      this.#unwatch();
      this.#watch();
    }
    this.#options.onChange();
  }
}
