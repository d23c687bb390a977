/**
 * Unpacks a tar archive in a folder of a container's root, as the sink of a parser. Each entry finds its folder anew within
 * the root, because the container may put links there meanwhile; devices and pipes are refused.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { posix } from 'node:path';
import { errnoOf, RuntimeError } from '#base/errors.ts';
import { openInRoot, withDirectoryInRoot } from '#host/rooted.ts';
import type { TarEntry } from '#images/unpack/tar-header.ts';
import type { TarSink } from '#images/unpack/tar-parser.ts';

const O_PATH = 0o10000000;

export interface ArchiveTarget {
  /** A path that reaches the container's root. */
  readonly root: string;
  /** The folder in it, absolute; it exists. */
  readonly folder: string;
  /** Owner of what the archive's own owners are not kept for. */
  readonly owner: { readonly uid: number; readonly gid: number };
  readonly keepOwner: boolean;
}

interface OpenFile {
  readonly fd: number;
  readonly entry: TarEntry;
}

export class ArchiveWriter implements TarSink {
  readonly #target: ArchiveTarget;
  #file: OpenFile | undefined;

  constructor(target: ArchiveTarget) {
    this.#target = target;
  }

  begin(entry: TarEntry): void {
    const path = this.#pathOf(entry.name);
    const name = posix.basename(path);
    if (path === posix.normalize(this.#target.folder)) return; // the folder itself stays as it is
    const owner = this.#ownerOf(entry);
    withDirectoryInRoot(this.#target.root, posix.dirname(path), this.#target.owner, (folder) => {
      const full = `${folder}/${name}`;
      if (entry.type === 'directory') makeFolder(full, entry.mode, owner);
      else if (entry.type === 'file') this.#file = { fd: openNew(full, entry.name), entry };
      else if (entry.type === 'symlink') {
        removeExisting(full, entry.name);
        symlinkSync(entry.linkName, full);
        lchownSync(full, owner.uid, owner.gid);
      } else if (entry.type === 'hardlink') this.#link(entry, full);
      else
        throw new RuntimeError(
          'InvalidArgument',
          `${entry.name} in the archive is a ${entry.type}; only files, folders and links are copied`,
        );
    });
  }

  data(chunk: Buffer, position: number): void {
    const { fd } = this.#file!;
    for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at, chunk.length - at, position + at);
  }

  end(): void {
    const file = this.#file;
    if (!file) return;
    this.#file = undefined;
    const { fd, entry } = file;
    try {
      const { uid, gid } = this.#ownerOf(entry);
      // The owner first: changing it clears setuid.
      fchownSync(fd, uid, gid);
      fchmodSync(fd, entry.mode);
      const seconds = Number(entry.modified.seconds);
      futimesSync(fd, seconds, seconds);
    } finally {
      closeSync(fd);
    }
  }

  /** Closes what an archive that broke off left open. Idempotent. */
  close(): void {
    if (this.#file) closeSync(this.#file.fd);
    this.#file = undefined;
  }

  /** Absolute in the root. Throws InvalidArgument for a name that leads up. */
  #pathOf(name: string): string {
    if (name.split('/').includes('..'))
      throw new RuntimeError(
        'InvalidArgument',
        `the archive has the name ${JSON.stringify(name)}, which leads out`,
      );
    const path = posix.normalize(`${this.#target.folder}/${name}`);
    return path.length > 1 ? path.replace(/\/$/, '') : path;
  }

  #ownerOf({ uid, gid }: TarEntry): { readonly uid: number; readonly gid: number } {
    return this.#target.keepOwner ? { uid, gid } : this.#target.owner;
  }

  #link(entry: TarEntry, full: string): void {
    const original = this.#pathOf(entry.linkName);
    const fd = openInRoot(this.#target.root, posix.dirname(original), O_PATH | constants.O_DIRECTORY);
    try {
      removeExisting(full, entry.name);
      linkSync(`/proc/self/fd/${fd}/${posix.basename(original)}`, full);
    } finally {
      closeSync(fd);
    }
  }
}

function makeFolder(full: string, mode: number, owner: { readonly uid: number; readonly gid: number }): void {
  try {
    mkdirSync(full, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    // A folder, or a link to one, takes what follows; anything else is in the way, as the next entry finds out.
    return;
  }
  const fd = openSync(full, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    fchownSync(fd, owner.uid, owner.gid);
    fchmodSync(fd, mode);
  } finally {
    closeSync(fd);
  }
}

/** A new file in the place of what was there; a file that is a mount of its own is emptied instead. */
function openNew(full: string, name: string): number {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_TRUNC } = constants;
  try {
    removeExisting(full, name);
  } catch (error) {
    if (errnoOf(error) !== 'EBUSY') throw error;
    return openSync(full, O_WRONLY | O_TRUNC | O_NOFOLLOW);
  }
  return openSync(full, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
}

function removeExisting(full: string, name: string): void {
  const stat = lstatSync(full, { throwIfNoEntry: false });
  if (stat?.isDirectory())
    throw new RuntimeError('InvalidArgument', `${name} would replace a folder, which copying does not do`);
  if (stat) unlinkSync(full);
}
