/** Kernel calls on files that Node lacks: device nodes, times to the nanosecond, flushing a whole file system. */
import { constants } from 'node:fs';
import { checked, libc } from './libc.ts';
import { cPath, type PathBytes } from './xattr.ts';

const mknodRaw = libc.func('int mknod(const char *path, uint mode, ulong device)');
const utimensatRaw = libc.func(
  'int utimensat(int directory, const char *path, const void *times, int flags)',
);
const futimensRaw = libc.func('int futimens(int fd, const void *times)');
const syncfsRaw = libc.func('int syncfs(int fd)');
const setpriorityRaw = libc.func('int setpriority(int which, uint who, int priority)');

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const PRIO_PROCESS = 0;

/** A moment: whole seconds since the epoch (negative before it) and 0 to 999,999,999 nanoseconds after that second. */
export interface FileTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

export type NodeType = 'char' | 'block' | 'fifo';
const nodeModes: Readonly<Record<NodeType, number>> = {
  char: constants.S_IFCHR,
  block: constants.S_IFBLK,
  fifo: constants.S_IFIFO,
};

/** A device number as the C library packs it (makedev(3)). */
function makeDevice(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return (
    (low & 0xffn) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | ((high & 0xfffff000n) << 32n)
  );
}

/** Makes a device node or a fifo, mode 0600 under the umask. Throws SystemCallError (EEXIST, EPERM in a user namespace). */
export function makeNode(path: PathBytes, type: NodeType, major = 0, minor = 0): void {
  checked(
    mknodRaw(cPath(path), nodeModes[type] | 0o600, makeDevice(major, minor)),
    'mknod',
    path.toString('utf8'),
  );
}

const times = Buffer.alloc(32);

function fillTimes(accessed: FileTime, modified: FileTime): Buffer {
  times.writeBigInt64LE(BigInt(accessed.seconds), 0);
  times.writeBigInt64LE(BigInt(accessed.nanoseconds), 8);
  times.writeBigInt64LE(BigInt(modified.seconds), 16);
  times.writeBigInt64LE(BigInt(modified.nanoseconds), 24);
  return times;
}

/** Sets both times of a file, given by its path (not followed) or descriptor. Throws SystemCallError. */
export function setTimes(file: PathBytes | number, accessed: FileTime, modified: FileTime): void {
  const filled = fillTimes(accessed, modified);
  if (typeof file === 'number') checked(futimensRaw(file, filled), 'futimens', `fd ${file}`);
  else
    checked(
      utimensatRaw(AT_FDCWD, cPath(file), filled, AT_SYMLINK_NOFOLLOW),
      'utimensat',
      file.toString('utf8'),
    );
}

/** Writes everything of the file system that `fd` is on to its disk, and waits for it. Never on the daemon's main thread. Throws SystemCallError. */
export function syncFileSystem(fd: number): void {
  checked(syncfsRaw(fd), 'syncfs', `fd ${fd}`);
}

/** Makes this process yield to others (setpriority(2)): 0 is usual, 19 yields to everyone. Throws SystemCallError. */
export function setNiceness(niceness: number): void {
  checked(setpriorityRaw(PRIO_PROCESS, 0, niceness), 'setpriority', String(niceness));
}
