/**
 * The folder of CNI configurations: loaded now, and again whenever it changes. The folder may be absent, appear, go and
 * come back; while it is absent, the nearest folder above it is watched.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { errnoOf, messageOf } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { FolderWatch } from '#host/folder-watch.ts';
import { type NetworkList, parseNetworkList, parseSinglePlugin } from './config.ts';

export interface LoadedList {
  readonly path: string;
  readonly list: NetworkList;
}

export interface FolderContent {
  /** The list in use. */
  readonly chosen: LoadedList | undefined;
  /** Whether there are configuration files at all, valid or not. A list of nothing but `loopback` does not count. */
  readonly hasCandidates: boolean;
  /** What is wrong with the files that were passed over; '' if nothing is. */
  readonly lastError: string;
}

const sizeLimitBytes = 2 * 1024 * 1024;

function fileNames(dir: string): string[] {
  let names: string[];
  try {
    names = readdirSync(dir);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw error;
  }
  const sorted = names.filter((name) => !name.startsWith('.')).sort();
  const lists = sorted.filter((name) => name.endsWith('.conflist'));
  const singles = sorted.filter((name) => name.endsWith('.conf') || name.endsWith('.json'));
  return [...lists, ...singles];
}

function loadFile(path: string): NetworkList {
  const { size } = statSync(path);
  if (size > sizeLimitBytes) throw new Error(`${path}: larger than ${sizeLimitBytes} bytes`);
  const text = readFileSync(path, 'utf8');
  return path.endsWith('.conflist') ? parseNetworkList(text, path) : parseSinglePlugin(text, path);
}

const isLoopbackOnly = (list: NetworkList): boolean =>
  list.plugins.every((plugin) => plugin.type === 'loopback');

/**
 * Reads the folder: lists (`*.conflist`) before single plugins (`*.conf`, `*.json`), each by name; the first valid one is
 * chosen, invalid ones are passed over and named in `lastError`. Configurations of `loopback` alone are no pod network:
 * Berth brings `lo` up itself. Never throws.
 */
export function loadFolder(dir: string): FolderContent {
  const errors: string[] = [];
  let hasCandidates = false;
  try {
    for (const name of fileNames(dir)) {
      const path = `${dir}/${name}`;
      try {
        const list = loadFile(path);
        if (isLoopbackOnly(list)) continue;
        return { chosen: { path, list }, hasCandidates: true, lastError: errors.join('; ') };
      } catch (error) {
        hasCandidates = true;
        errors.push(messageOf(error));
      }
    }
  } catch (error) {
    errors.push(`reading ${dir}: ${messageOf(error)}`);
  }
  return { chosen: undefined, hasCandidates, lastError: errors.join('; ') };
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

export class ConfigFolder {
  readonly #dir: string;
  readonly #log: Log;
  readonly #onChange: () => void;
  #content: FolderContent = { chosen: undefined, hasCandidates: false, lastError: '' };
  readonly #watch: FolderWatch;
  #isStopped = true;

  /** `onChange` runs after a load that chose another list than before. */
  constructor(dir: string, log: Log, onChange: () => void) {
    this.#dir = dir;
    this.#log = log;
    this.#onChange = onChange;
    this.#watch = new FolderWatch({
      dir,
      onChange: () => this.#load(),
      onFailure: (error) =>
        log.warn({ dir, err: error }, 'cannot watch the CNI folder; it is read at each use instead'),
    });
  }

  /** The content as last loaded; where the folder cannot be watched, as it is now. */
  get content(): FolderContent {
    if (!this.#watch.isWatching && !this.#isStopped) this.#load();
    return this.#content;
  }

  /** Watches, then loads: no change can fall between. Idempotent. */
  start(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    this.#watch.start();
    this.#load();
  }

  /** Ends the watch; the content stays as it is. Idempotent. */
  stop(): void {
    this.#isStopped = true;
    this.#watch.stop();
  }

  #load(): void {
    const before = this.#content;
    let after = loadFolder(this.#dir);
    // A file that is being rewritten is invalid for a moment: the list it held stays in use until a valid one replaces it.
    const isHalfWritten = !after.chosen && before.chosen && inodeOf(before.chosen.path) !== undefined;
    if (isHalfWritten && after.hasCandidates) after = { ...after, chosen: before.chosen };
    this.#content = after;
    if (after.lastError !== before.lastError && after.lastError !== '') {
      this.#log.warn({ dir: this.#dir }, `CNI configuration passed over: ${after.lastError}`);
    }
    const isSame =
      after.chosen?.path === before.chosen?.path && after.chosen?.list.text === before.chosen?.list.text;
    if (isSame && after.hasCandidates === before.hasCandidates) return;
    const name = after.chosen?.list.name ?? '';
    this.#log.info({ path: after.chosen?.path ?? '', network: name }, 'CNI configuration loaded');
    this.#onChange();
  }
}
