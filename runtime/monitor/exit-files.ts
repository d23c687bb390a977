import { type FSWatcher, mkdirSync, readdirSync, readFileSync, rmSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
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

  /** Reports every exit from now on; the listener may hear of one twice. */
  watch(listener: (exit: ExitFile) => void): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    this.#watcher = watch(this.#directory, (_event, name) => {
      const exit = name === null ? undefined : this.find(name);
      if (exit) listener(exit);
    });
    this.#watcher.on('error', (error) =>
      this.#log.error({ err: error, path: this.#directory }, 'watching exit files failed'),
    );
  }

  close(): void {
    this.#watcher?.close();
  }

  find(containerId: string): ExitFile | undefined {
    if (!namePattern.test(containerId)) return undefined;
    const path = join(this.#directory, containerId);
    try {
      const exitCode = Number.parseInt(readFileSync(path, 'latin1'), 10);
      const atNs = statSync(path, { bigint: true }).mtimeNs;
      return { containerId, exitCode: Number.isNaN(exitCode) ? -1 : exitCode, atNs };
    } catch {
      return undefined; // not there (yet): the process still runs as far as this folder knows
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
