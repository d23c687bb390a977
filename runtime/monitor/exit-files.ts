import { type FSWatcher, mkdirSync, readdirSync, readFileSync, rmSync, statSync, watch } from 'node:fs';
import { basename, join } from 'node:path';
import type { Log } from '#base/log.ts';

export interface ExitFile {
  readonly containerId: string;
  /** 0 to 255; 128 + signal for a killed process; -1 when the monitor did not learn it. */
  readonly exitCode: number;
  /** Unix nanoseconds: when the monitor wrote the file. */
  readonly atNs: bigint;
}

const namePattern = /^[0-9a-f]{64}$/;

/**
 * The folder where the monitors leave exit codes (conmon --exit-dir: a decimal number, written under another name and
 * renamed). Watched with inotify; a file may appear before create returns, and outlives the daemon.
 */
export class ExitFiles {
  readonly #directory: string;
  readonly #log: Log;
  #watcher: FSWatcher | undefined;

  constructor(directory: string, log: Log) {
    this.#directory = directory;
    this.#log = log;
  }

  /**
   * Reports every exit from now on; the listener may hear of one twice. It may also miss one, when the kernel's queue of
   * events overflows or the folder was replaced: the end of the monitor, watched for each container, is the second sign.
   */
  watch(listener: (exit: ExitFile) => void): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const watcher = watch(this.#directory, (_event, name) => {
      // The folder's own name: it was removed or moved, and this watch hears of nothing any more.
      if (name === basename(this.#directory)) this.#watchAgain(watcher, listener);
      const exit = name === null ? undefined : this.find(name);
      if (exit) listener(exit);
    });
    watcher.on('error', (error) =>
      this.#log.error({ err: error, path: this.#directory }, 'watching exit files failed'),
    );
    this.#watcher = watcher;
  }

  #watchAgain(gone: FSWatcher, listener: (exit: ExitFile) => void): void {
    if (this.#watcher !== gone) return;
    gone.close();
    this.#log.warn({ path: this.#directory }, 'the folder of exit files was removed; it is made again');
    try {
      this.watch(listener);
      for (const exit of this.list()) listener(exit);
    } catch (error) {
      this.#log.error({ err: error, path: this.#directory }, 'watching exit files failed');
    }
  }

  close(): void {
    this.#watcher?.close();
  }

  find(containerId: string): ExitFile | undefined {
    if (!namePattern.test(containerId)) return undefined;
    const path = join(this.#directory, containerId);
    try {
      const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
      if (!stat) return undefined; // not (yet): the process still runs as far as this folder knows
      const exitCode = Number.parseInt(readFileSync(path, 'latin1'), 10);
      return { containerId, exitCode: Number.isNaN(exitCode) ? -1 : exitCode, atNs: stat.mtimeNs };
    } catch {
      return undefined; // it was removed meanwhile
    }
  }

  list(): ExitFile[] {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    return readdirSync(this.#directory).flatMap((name) => this.find(name) ?? []);
  }

  /** Idempotent. */
  remove(containerId: string): void {
    rmSync(join(this.#directory, containerId), { force: true });
  }
}
