/**
 * Unpacks a tar archive in a folder of a container's root, as the sink of a parser. Each entry finds its folder anew within
 * the root, because the container may put links there meanwhile; devices and pipes are refused.
 *
 * What is mounted in the container (its hosts file, a volume of one file) is not in the daemon's own mount namespace. There
 * unlink(2) does not fail with EBUSY: it removes the file below and takes the mount away with it. So mounts are looked for.
 */
import { isUtf8 } from 'node:buffer';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  futimesSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { posix } from 'node:path';
import { errnoOf, RuntimeError } from '#base/errors.ts';
import { O_PATH, openInRoot, withDirectoryInRoot } from '#host/rooted.ts';
import type { TarEntry } from '#images/unpack/tar-header.ts';
import type { TarSink } from '#images/unpack/tar-parser.ts';

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
    const shown = textOf(entry.name);
    const path = this.#pathOf(shown);
    const name = posix.basename(path);
    if (path === posix.normalize(this.#target.folder)) return; // the folder itself stays as it is
    const owner = this.#ownerOf(entry);
    withDirectoryInRoot(this.#target.root, posix.dirname(path), this.#target.owner, (folder) => {
      const full = `${folder}/${name}`;
      if (entry.type === 'directory') makeFolder(full, entry.mode, owner);
      else if (entry.type === 'file') this.#file = { fd: openNew(full, shown), entry };
      else if (entry.type === 'symlink') {
        const target = textOf(entry.linkName);
        removeExisting(full, shown);
        symlinkSync(target, full);
        lchownSync(full, owner.uid, owner.gid);
      } else if (entry.type === 'hardlink') this.#link(textOf(entry.linkName), full, shown);
      else
        throw new RuntimeError(
          'InvalidArgument',
          `${shown} in the archive is a ${entry.type}; only files, folders and links are copied`,
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
      const { seconds } = entry.modified;
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

  #link(linkName: string, full: string, shown: string): void {
    const original = this.#pathOf(linkName);
    const fd = openInRoot(this.#target.root, posix.dirname(original), O_PATH | constants.O_DIRECTORY);
    try {
      removeExisting(full, shown);
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
function openNew(full: string, shown: string): number {
  const mounted = openMounted(full);
  if (mounted !== undefined) {
    try {
      if (!fstatSync(mounted).isFile()) throw inTheWay(shown);
      return openSync(`/proc/self/fd/${mounted}`, constants.O_WRONLY | constants.O_TRUNC);
    } finally {
      closeSync(mounted);
    }
  }
  removeExisting(full, shown);
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  return openSync(full, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
}

function removeExisting(full: string, shown: string): void {
  const mounted = openMounted(full);
  if (mounted !== undefined) {
    closeSync(mounted);
    throw inTheWay(shown);
  }
  const stat = lstatSync(full, { throwIfNoEntry: false });
  if (stat?.isDirectory())
    throw new RuntimeError('InvalidArgument', `${shown} would replace a folder, which copying does not do`);
  if (stat) unlinkSync(full);
}

function inTheWay(shown: string): RuntimeError {
  return new RuntimeError(
    'FailedPrecondition',
    `${shown} is a mount in the container: only a file can be written into it`,
  );
}

/** A descriptor (O_PATH) of what is mounted at a path; undefined if nothing is. */
function openMounted(full: string): number | undefined {
  let fd: number;
  try {
    fd = openSync(full, O_PATH | constants.O_NOFOLLOW);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const folder = openSync(posix.dirname(full), O_PATH | constants.O_DIRECTORY);
    try {
      if (mountIdOf(fd) !== mountIdOf(folder)) return fd;
    } finally {
      closeSync(folder);
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return undefined;
}

/** proc(5), /proc/PID/fdinfo. */
function mountIdOf(fd: number): string | undefined {
  return /^mnt_id:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
}

/** A parser's names are bytes as latin1; those of this system's calls are text. Throws InvalidArgument. */
function textOf(name: string): string {
  const bytes = Buffer.from(name, 'latin1');
  if (isUtf8(bytes)) return bytes.toString();
  throw new RuntimeError(
    'InvalidArgument',
    `the archive has the name ${JSON.stringify(name)}, which is not UTF-8`,
  );
}
