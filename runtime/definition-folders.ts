/**
 * Folders into which operators and vendors put small definition files (CDI specifications, OCI hooks). They are looked at
 * whenever a container needs them: a device driver writes its file moments before the kubelet asks for the container, so
 * what counts is what the folders hold at that moment, and a watch could only tell of it later. A file is parsed again only
 * when it has changed. They are watched besides, so that a broken file is reported when it appears and not when the next
 * container comes. Folders may be absent, appear, go and come back.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { errnoOf, messageOf } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { FolderWatch } from '#host/folder-watch.ts';

export interface DefinitionFile<T> {
  readonly path: string;
  readonly name: string;
  /** Which of the folders it stands in, by their order. */
  readonly folderIndex: number;
  readonly value: T;
}

export interface DefinitionFolderOptions<T> {
  /** In order of rising precedence. */
  readonly folders: readonly string[];
  /** With the dot: `.json`. */
  readonly extensions: readonly string[];
  /** What one of the files is, for the log: `CDI specification`. */
  readonly noun: string;
  /** Throws for a file that is not valid, with a text that says what about it. */
  readonly parse: (text: string, extension: string) => T | Promise<T>;
  readonly log: Log;
}

export interface DefinitionFolderContent<T> {
  /** Folder by folder, in each by name. */
  readonly files: readonly DefinitionFile<T>[];
  /** What is wrong with the files and folders that were passed over, each with its path. */
  readonly problems: readonly string[];
}

type Parsed<T> = { readonly value: T } | { readonly problem: string };
interface CachedFile<T> {
  readonly version: string;
  readonly parsed: Parsed<T>;
}

const sizeLimitBytes = 1 << 20;
/** Times of files tick in steps of up to 10 ms; a file that was just written may be written again within the same one. */
const tickMs = 20;

export class DefinitionFolders<T> {
  readonly #options: DefinitionFolderOptions<T>;
  #cached = new Map<string, CachedFile<T>>();
  #folderProblems = new Map<string, string>();
  #problems: readonly string[] = [];
  #watches: FolderWatch[] = [];
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: DefinitionFolderOptions<T>) {
    this.#options = options;
  }

  /** What was wrong when the folders were last looked at; while they are watched, what is wrong now. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  /** Looks now, and again whenever something changes, so that what is wrong is logged. Idempotent. */
  watch(): void {
    if (this.#watches.length > 0) return;
    const look = (): void => void this.read();
    this.#watches = this.#options.folders.map(
      (dir) =>
        new FolderWatch({
          dir,
          onChange: look,
          onFailure: (error) =>
            this.#options.log.warn(
              { dir, err: error },
              `${this.#options.noun}: this folder cannot be watched`,
            ),
        }),
    );
    for (const watch of this.#watches) watch.start();
    look();
  }

  /** Idempotent. */
  unwatch(): void {
    for (const watch of this.#watches.splice(0)) watch.stop();
  }

  /** What the folders hold now. Never throws; a file or folder passed over is logged once for each of its versions. */
  read(): Promise<DefinitionFolderContent<T>> {
    // One after the other: of two that meet a broken file at once, both would log it.
    const reading = this.#turn.then(() => this.#read());
    this.#turn = reading;
    return reading;
  }

  async #read(): Promise<DefinitionFolderContent<T>> {
    const files: DefinitionFile<T>[] = [];
    const problems: string[] = [];
    const cached = new Map<string, CachedFile<T>>();
    const folderProblems = new Map<string, string>();
    for (const [folderIndex, folder] of this.#options.folders.entries()) {
      for (const name of this.#names(folder, folderProblems)) {
        const path = join(folder, name);
        const file = await this.#readFile(path);
        if (!file) continue;
        cached.set(path, file);
        if ('problem' in file.parsed) problems.push(file.parsed.problem);
        else files.push({ path, name, folderIndex, value: file.parsed.value });
      }
    }
    this.#cached = cached;
    this.#folderProblems = folderProblems;
    this.#problems = [...folderProblems.values(), ...problems];
    return { files, problems: this.#problems };
  }

  #names(folder: string, problems: Map<string, string>): string[] {
    try {
      return readdirSync(folder)
        .filter((name) => this.#options.extensions.includes(extname(name)))
        .sort();
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      const problem = `${folder}: ${messageOf(error)}`;
      if (this.#folderProblems.get(folder) !== problem) this.#warn(folder, problem);
      problems.set(folder, problem);
      return [];
    }
  }

  /** Undefined for a file that went while it was looked at, and for what is no file. */
  async #readFile(path: string): Promise<CachedFile<T> | undefined> {
    const known = this.#cached.get(path);
    let version = '';
    let parsed: Parsed<T>;
    try {
      const stat = statSync(path);
      if (!stat.isFile()) return undefined;
      const { ino, size, mtimeMs, ctimeMs } = stat;
      const isSettled = Math.abs(Date.now() - Math.max(mtimeMs, ctimeMs)) > tickMs;
      version = isSettled ? `${ino} ${size} ${mtimeMs} ${ctimeMs}` : '';
      if (known && version !== '' && known.version === version) return known;
      if (size > sizeLimitBytes) throw new Error(`is larger than ${sizeLimitBytes} bytes`);
      parsed = { value: await this.#options.parse(readFileSync(path, 'utf8'), extname(path)) };
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      parsed = { problem: `${path}: ${messageOf(error)}` };
      const before = known && 'problem' in known.parsed ? known.parsed.problem : '';
      if (before !== parsed.problem) this.#warn(path, parsed.problem);
    }
    return { version, parsed };
  }

  #warn(path: string, problem: string): void {
    this.#options.log.warn({ path }, `${this.#options.noun} passed over: ${problem}`);
  }
}
