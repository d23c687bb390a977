/**
 * The directory that a layer is unpacked into, seen through its own entries. Nobody else writes there and it began empty,
 * so what is known here about directories and whiteouts is true, and no path that goes through known directories can leave.
 * Paths are relative, without leading slash, '' being the root; strings are bytes as latin1.
 */
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  type Stats,
  unlinkSync,
} from 'node:fs';
import { errnoOf } from '#base/errors.ts';
import { makeNode } from '#host/file-metadata.ts';
import { badLayer, shown, type TarEntry } from './tar-header.ts';

export interface LayerDirectory {
  /** The entry that describes it; undefined while it exists only because something in it does. */
  entry: TarEntry | undefined;
  /** Whether what lower layers have in it is hidden. */
  isOpaque: boolean;
  /** Whether it takes the place of a lower one that the layer removes, and so inherits nothing from it. */
  isNew: boolean;
}

/** As many as the kernel follows (path_resolution(7)). */
const mostLinks = 40;
const longestComponent = 255;
const longestPath = 4096;

export class LayerTree {
  readonly #root: string;
  /** Every directory made, by path. They stay private (mode 0700) until the end. */
  readonly directories = new Map<string, LayerDirectory>([
    ['', { entry: undefined, isOpaque: false, isNew: false }],
  ]);
  readonly #whiteouts = new Set<string>();

  constructor(root: string) {
    this.#root = Buffer.from(root, 'utf8').toString('latin1');
  }

  /** The path for a system call: text if it is ASCII, else the very bytes. */
  absolute(path: string): string | Buffer {
    const whole = path === '' ? this.#root : `${this.#root}/${path}`;
    return /^[\x00-\x7f]*$/.test(whole) ? whole : Buffer.from(whole, 'latin1');
  }

  /**
   * Splits a name of the archive into its directory, as it is found in this layer, and its last component ('' for the root
   * itself). A directory may be named through a symbolic link that the layer made: it is followed with the layer as the root,
   * as it would be in a container. Missing directories are made. Throws Unknown for names that try to leave.
   */
  locate(name: string): { directory: string; base: string } {
    const components = splitName(name);
    const base = components.pop() ?? '';
    const plain = components.join('/');
    const directory = this.directories.has(plain) ? plain : this.#walk(components, name, true)!;
    return { directory, base };
  }

  /** Like `locate`, for a name that must exist: the path of an existing non-directory, last component not followed; undefined if there is none. */
  find(name: string): string | undefined {
    const components = splitName(name);
    const base = components.pop();
    if (base === undefined) return undefined;
    const plain = components.join('/');
    const directory = this.directories.has(plain) ? plain : this.#walk(components, name, false);
    if (directory === undefined) return undefined;
    const path = join(directory, base);
    if (this.directories.has(path) || this.#whiteouts.has(path)) return undefined;
    return this.#stat(path) ? path : undefined;
  }

  #stat(path: string): Stats | undefined {
    return lstatSync(this.absolute(path), { throwIfNoEntry: false });
  }

  #walk(components: string[], name: string, create: boolean): string | undefined {
    let current = '';
    let links = 0;
    const queue = [...components];
    for (let component = queue.shift(); component !== undefined; component = queue.shift()) {
      if (component === '' || component === '.') continue;
      if (component === '..') {
        current = current.slice(0, Math.max(0, current.lastIndexOf('/')));
        continue;
      }
      const next = join(current, component);
      if (this.directories.has(next)) {
        current = next;
        continue;
      }
      const stat = this.#whiteouts.has(next) ? undefined : this.#stat(next);
      if (stat?.isSymbolicLink()) {
        links += 1;
        if (links > mostLinks) throw badLayer(`${shown(name)} leads through too many symbolic links`);
        const target = readlinkSync(this.absolute(next), 'latin1');
        if (target.startsWith('/')) current = '';
        queue.unshift(...target.split('/'));
      } else if (stat) {
        if (!create) return undefined;
        throw badLayer(`${shown(name)} lies below ${shown(next)}, which is no directory`);
      } else {
        if (!create) return undefined;
        this.#makeDirectory(next);
        current = next;
      }
    }
    return current;
  }

  #makeDirectory(path: string): LayerDirectory {
    const wasHidden = this.#whiteouts.delete(path);
    if (wasHidden) unlinkSync(this.absolute(path));
    mkdirSync(this.absolute(path), 0o700);
    const made: LayerDirectory = { entry: undefined, isOpaque: wasHidden, isNew: wasHidden };
    this.directories.set(path, made);
    return made;
  }

  /** Makes the directory at `path`, or finds the one that this layer has there; anything else there gives way. */
  ensureDirectory(path: string): LayerDirectory {
    const known = this.directories.get(path);
    if (known) return known;
    if (!this.#whiteouts.has(path) && this.#stat(path)) this.remove(path);
    return this.#makeDirectory(path);
  }

  /** Calls `make` to create something at `path`, after removing what an earlier entry put there. */
  create(path: string, make: (absolute: string | Buffer) => void): void {
    if (path === '') throw badLayer('its root is not a directory');
    const absolute = this.absolute(path);
    if (this.directories.has(path)) this.remove(path);
    try {
      make(absolute);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      this.remove(path);
      make(absolute);
    }
  }

  /** Removes whatever this layer has at `path`, with everything below it. */
  remove(path: string): void {
    if (this.directories.delete(path)) {
      for (const child of readdirSync(this.absolute(path), 'latin1')) this.remove(join(path, child));
      rmdirSync(this.absolute(path));
      return;
    }
    this.#whiteouts.delete(path);
    unlinkSync(this.absolute(path));
  }

  /**
   * Hides what lower layers have at `path`. What this layer has there itself stays, whichever came first. Whether that took
   * a whiteout.
   */
  hide(path: string): boolean {
    const directory = this.directories.get(path);
    if (directory) {
      directory.isOpaque = true;
      directory.isNew = true;
      return false;
    }
    if (this.#whiteouts.has(path) || this.#stat(path)) return false;
    makeNode(this.absolute(path), 'char', 0, 0);
    this.#whiteouts.add(path);
    return true;
  }

  /** Gives the non-directory at `existing` a second name. */
  link(existing: string, path: string): void {
    if (existing === path) return;
    this.create(path, (absolute) => linkSync(this.absolute(existing), absolute));
  }
}

/** The components of a name. A leading slash means the layer's root; `..` is refused, wherever it would lead. */
function splitName(name: string): string[] {
  if (name.length > longestPath) throw badLayer(`a name is longer than ${longestPath} bytes`);
  const components: string[] = [];
  for (const component of name.split('/')) {
    if (component === '' || component === '.') continue;
    if (component === '..') throw badLayer(`${shown(name)} leads out of the layer`);
    if (component.length > longestComponent)
      throw badLayer(`a name is longer than ${longestComponent} bytes`);
    components.push(component);
  }
  return components;
}

/** `directory/base`, or `base` in the root. */
export function join(directory: string, base: string): string {
  return directory === '' ? base : base === '' ? directory : `${directory}/${base}`;
}
