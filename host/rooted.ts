/**
 * Paths inside a container's root file system, resolved so that no symbolic link leads out of it (openat2(2) with
 * RESOLVE_IN_ROOT, Linux 5.6). Whatever an image or a container made is untrusted: only these functions touch it by name.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import koffi from 'koffi';
import { checked, libc, SystemCallError } from './libc.ts';

const openat2Raw = libc.func(
  'long syscall(long number, int directory, const char *path, const void *how, ulong size)',
);
const mkdiratRaw = libc.func('int mkdirat(int directory, const char *path, uint mode)');
const fchownRaw = libc.func('int fchown(int fd, uint uid, uint gid)');
const SYS_OPENAT2 = 437;
const RESOLVE_NO_MAGICLINKS = 0x02n;
const RESOLVE_NO_SYMLINKS = 0x04n;
const RESOLVE_BENEATH = 0x08n;
const RESOLVE_IN_ROOT = 0x10n;
const RESOLVE_CACHED = 0x20n;
/** For openat2: a path is absolute, or relative to the working directory. */
const AT_FDCWD = -100;
/** open(2): a place without the right to read it. Node does not export it. */
export const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;

/** Opens `path` as if `root` were "/". Returns a descriptor that the caller closes. Throws SystemCallError (ENOENT, ELOOP, ...). */
export function openInRoot(root: string, path: string, flags: number, mode = 0): number {
  return openBy(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS, root, path, flags, mode);
}

/**
 * Opens what is at the relative path `path` (bytes; none for `root` itself) without following any symbolic link, for trees
 * that a container changes while they are walked. Returns a descriptor that the caller closes. Throws SystemCallError; ELOOP
 * for a link on the way.
 */
export function openWithoutLinks(root: string, path: Buffer, flags: number): number {
  const bytes = Buffer.concat([path.length > 0 ? path : Buffer.from('.'), Buffer.alloc(1)]);
  return openBy(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, root, bytes, flags, 0);
}

function openBy(resolve: bigint, root: string, path: string | Buffer, flags: number, mode: number): number {
  const rootFd = openSync(root, constants.O_DIRECTORY | O_PATH);
  try {
    return openat2(resolve, rootFd, path, flags, mode, root);
  } finally {
    closeSync(rootFd);
  }
}

/**
 * Opens a path of the host, following links, as a place only (O_PATH) and by what the kernel's cache says: no file system is asked,
 * so this never waits. Returns a descriptor that the caller closes. Throws SystemCallError; EWOULDBLOCK where the cache does not tell.
 */
export function openCached(path: string): number {
  return openat2(RESOLVE_CACHED, AT_FDCWD, path, O_PATH, 0, 'the cache');
}

function openat2(
  resolve: bigint,
  directory: number,
  path: string | Buffer,
  flags: number,
  mode: number,
  where: string,
): number {
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(flags | O_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(mode), 8);
  how.writeBigUInt64LE(resolve, 16);
  const result = Number(openat2Raw(SYS_OPENAT2, directory, path, how, 24));
  if (result >= 0) return result;
  const shown = typeof path === 'string' ? path : path.toString('utf8', 0, path.length - 1);
  throw new SystemCallError('openat2', koffi.errno(), `${shown} in ${where}`);
}

/**
 * The text of a regular file inside `root`; undefined if there is none, or if what is there is not a regular file or is
 * larger than `limitBytes` (a hostile image must not fill the daemon's memory).
 */
export function readFileInRoot(root: string, path: string, limitBytes: number): string | undefined {
  let fd: number;
  try {
    fd = openInRoot(root, path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (
      error instanceof SystemCallError &&
      ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EACCES'].includes(error.code)
    )
      return undefined;
    throw error;
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.size > limitBytes) return undefined;
    const bytes = Buffer.alloc(stat.size);
    const length = readSync(fd, bytes, 0, bytes.length, 0);
    return bytes.toString('utf8', 0, length);
  } finally {
    closeSync(fd);
  }
}

/**
 * Makes a directory inside `root` with all missing parents (mode 0755, owned by `uid`:`gid`); idempotent. Returns a
 * path through /proc that reaches exactly that directory while `use` runs.
 */
export function withDirectoryInRoot<T>(
  root: string,
  path: string,
  owner: { uid: number; gid: number },
  use: (handle: string) => T,
): T {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  let walked = '/';
  let fd = openInRoot(root, '/', O_PATH | constants.O_DIRECTORY);
  try {
    for (const part of parts) {
      const next = `${walked === '/' ? '' : walked}/${part}`;
      let nextFd: number;
      try {
        nextFd = openInRoot(root, next, O_PATH | constants.O_DIRECTORY);
      } catch (error) {
        if (!(error instanceof SystemCallError) || error.code !== 'ENOENT') throw error;
        // A dangling symbolic link gives EEXIST here: mkdirat does not follow it, and the walk then fails.
        checked(mkdiratRaw(fd, part, 0o755), 'mkdirat', `${next} in ${root}`);
        nextFd = openInRoot(root, next, constants.O_RDONLY | constants.O_DIRECTORY);
        fchownRaw(nextFd, owner.uid, owner.gid);
      }
      closeSync(fd);
      fd = nextFd;
      walked = next;
    }
    return use(`/proc/self/fd/${fd}`);
  } finally {
    closeSync(fd);
  }
}
