/**
 * The folder of CNI configurations: loaded now, and again whenever it changes. The folder may be absent, appear, go and
 * come back; while it is absent, the nearest folder above it is watched.
 */
import { type FSWatcher, readdirSync, readFileSync, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf, messageOf } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
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
/** Files are often written in several steps; one load serves the events of this span. */
const settleMs = 20;

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

export class ConfigFolder {
  readonly #dir: string;
  readonly #log: Log;
  readonly #onChange: () => void;
  #content: FolderContent = { chosen: undefined, hasCandidates: false, lastError: '' };
  #watcher: FSWatcher | undefined;
  #watched: { path: string; inode: number | undefined } | undefined;
  #settling: NodeJS.Timeout | undefined;
  #isStopped = true;

  /** `onChange` runs after a load that chose another list than before. */
  constructor(dir: string, log: Log, onChange: () => void) {
    this.#dir = dir;
    this.#log = log;
    this.#onChange = onChange;
  }

  /** The content as last loaded; where the folder cannot be watched, as it is now. */
  get content(): FolderContent {
    if (!this.#watcher && !this.#isStopped) this.#load();
    return this.#content;
  }

  /** Watches, then loads: no change can fall between. Idempotent. */
  start(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    this.#watch();
    this.#load();
  }

  /** Ends the watch; the content stays as it is. Idempotent. */
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
    // Each turn finds the folder, or one above it, in place; a turn is lost only to a change made in that very moment.
    for (let turn = 0; turn < 100; turn += 1) {
      const path = nearestFolder(this.#dir);
      try {
        const watcher = watch(path, { persistent: false }, () => this.#settle());
        watcher.on('error', () => this.#settle());
        this.#watcher = watcher;
        this.#watched = { path, inode: inodeOf(path) };
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') continue;
        this.#log.warn(
          { dir: this.#dir, err: error },
          'cannot watch the CNI folder; it is read at each use instead',
        );
        return;
      }
      if (nearestFolder(this.#dir) === path) return;
      this.#unwatch();
    }
  }

  #settle(): void {
    if (this.#isStopped || this.#settling) return;
    this.#settling = setTimeout(() => {
      this.#settling = undefined;
      this.#reload();
    }, settleMs).unref();
  }

  #reload(): void {
    const nearest = nearestFolder(this.#dir);
    if (this.#watched?.path !== nearest || this.#watched.inode !== inodeOf(nearest)) {
      this.#unwatch();
      this.#watch();
    }
    this.#load();
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
