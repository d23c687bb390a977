/**
 * Mounts, as data and as effects. Nothing else in Berth calls mount(2) or umount2(2).
 * Flags: Linux UAPI linux/mount.h.
 */
import { readFileSync, statfsSync } from 'node:fs';
import { constants } from 'node:os';
import koffi from 'koffi';
import { checked, libc, SystemCallError } from './libc.ts';
import { mountByOptions } from './long-mount.ts';

export const MS_RDONLY = 0x1;
export const MS_NOSUID = 0x2;
export const MS_NODEV = 0x4;
export const MS_NOEXEC = 0x8;
export const MS_REMOUNT = 0x20;
export const MS_BIND = 0x1000;
export const MS_REC = 0x4000;
export const MS_PRIVATE = 0x40000;
export const MS_SLAVE = 0x80000;
export const MS_SHARED = 0x100000;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const NSFS_MAGIC = 0x6e736673;

const mountRaw = libc.func(
  'int mount(const char *source, const char *target, const char *type, ulong flags, const char *data)',
);
const umountRaw = libc.func('int umount2(const char *target, int flags)');

/** A mount not yet made: what to mount, and how. A snapshotter returns these, `performMount` makes them. */
export interface MountSpec {
  readonly type: string;
  readonly source: string;
  /** MS_* flags. */
  readonly flags: number;
  /** Options of the file system type, comma-separated. */
  readonly data: string;
}

/** The options of one mount(2) call must fit a page, with the zero that ends them. */
export const longestMountOptions = 4095;

/**
 * Makes a mount. Throws SystemCallError. A read-only bind takes two calls, and options longer than a page (many overlay
 * layers) take other ones, which need Linux 6.5.
 */
export function performMount(spec: MountSpec, target: string): void {
  if (Buffer.byteLength(spec.data) > longestMountOptions) {
    mountByOptions(spec, target);
    return;
  }
  if ((spec.flags & MS_BIND) !== 0 && (spec.flags & MS_RDONLY) !== 0 && (spec.flags & MS_REMOUNT) === 0) {
    // The kernel takes no notice of MS_RDONLY while it binds (mount(2), notes on bind mounts).
    performMount({ ...spec, flags: spec.flags & ~MS_RDONLY }, target);
    try {
      performMount({ ...spec, flags: spec.flags | MS_REMOUNT }, target);
    } catch (error) {
      unmount(target);
      throw error;
    }
    return;
  }
  checked(
    mountRaw(spec.source, target, spec.type, spec.flags, spec.data === '' ? null : spec.data),
    'mount',
    `${spec.type} ${spec.source} at ${target}`,
  );
}

/** As `performMount`, in a thread of the pool: mounting an overlay of many layers, or on a busy disk, takes milliseconds. */
export function performMountAside(spec: MountSpec, target: string): Promise<void> {
  // The special cases take several calls and are rare.
  if (Buffer.byteLength(spec.data) > longestMountOptions || (spec.flags & MS_BIND) !== 0) {
    performMount(spec, target);
    return Promise.resolve();
  }
  return new Promise((resolve, reject) => {
    mountRaw.async(
      spec.source,
      target,
      spec.type,
      spec.flags,
      spec.data === '' ? null : spec.data,
      (_error: unknown, result: number) => {
        if (result === 0) resolve();
        else reject(new SystemCallError('mount', koffi.errno(), `${spec.type} ${spec.source} at ${target}`));
      },
    );
  });
}

/** Binds `source` over `target`, with MS_REC or not. Throws SystemCallError. */
export function bindMount(source: string, target: string, flags = 0): void {
  performMount({ type: 'none', source, flags: MS_BIND | flags, data: '' }, target);
}

/** Changes the propagation of an existing mount (MS_PRIVATE, MS_SLAVE, MS_SHARED, with MS_REC or not). */
export function setPropagation(target: string, flags: number): void {
  performMount({ type: 'none', source: 'none', flags, data: '' }, target);
}

/**
 * Unmounts the topmost mount at `target`, lazily. Idempotent: false if nothing is mounted there or the path is gone.
 * Throws SystemCallError otherwise.
 */
export function unmount(target: string): boolean {
  if (umountRaw(target, MNT_DETACH | UMOUNT_NOFOLLOW) === 0) return true;
  const errno = koffi.errno();
  if (errno === constants.errno.EINVAL || errno === constants.errno.ENOENT) return false;
  throw new SystemCallError('umount2', errno, target);
}

/**
 * As `unmountAll`, in a thread of the pool: the last unmount of an overlay writes the file system below it to the disk,
 * which may take as long as the disk likes. Idempotent.
 */
export async function unmountAllAside(target: string): Promise<void> {
  for (;;) {
    const errno = await new Promise<number>((resolve) => {
      umountRaw.async(target, MNT_DETACH | UMOUNT_NOFOLLOW, (_error: unknown, result: number) =>
        resolve(result === 0 ? 0 : koffi.errno()),
      );
    });
    if (errno === constants.errno.EINVAL || errno === constants.errno.ENOENT) return;
    if (errno !== 0) throw new SystemCallError('umount2', errno, target);
  }
}

/** Unmounts everything that is stacked at exactly `target`. Idempotent. */
export function unmountAll(target: string): void {
  while (unmount(target));
}

/** Whether `path` is a pinned namespace: a bind mount of an nsfs file. */
export function isNamespacePin(path: string): boolean {
  try {
    return statfsSync(path).type === NSFS_MAGIC;
  } catch {
    return false; // gone, which is the answer
  }
}

export interface MountInfo {
  readonly mountPoint: string;
  readonly root: string;
  readonly type: string;
  readonly source: string;
  /** Propagation fields: `shared:N`, `master:N`, `unbindable`. */
  readonly optional: readonly string[];
  readonly superOptions: string;
}

function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_match, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** All mounts that this process sees, in mount order (proc(5), /proc/PID/mountinfo). */
export function listMounts(): MountInfo[] {
  return parseMountInfo(readFileSync('/proc/self/mountinfo', 'latin1'));
}

/** Parses the text of /proc/PID/mountinfo; lines that are not of its form are passed over. */
export function parseMountInfo(text: string): MountInfo[] {
  const mounts: MountInfo[] = [];
  for (const line of text.split('\n')) {
    const fields = line.split(' ');
    const separator = fields.indexOf('-');
    if (separator < 6) continue;
    mounts.push({
      root: unescapeOctal(fields[3]!),
      mountPoint: unescapeOctal(fields[4]!),
      optional: fields.slice(6, separator),
      type: fields[separator + 1] ?? '',
      source: unescapeOctal(fields[separator + 2] ?? ''),
      superOptions: fields[separator + 3] ?? '',
    });
  }
  return mounts;
}

/** The mount that covers `path`: the last one made whose mount point is a prefix of it. */
export function coveringMount(path: string, mounts: readonly MountInfo[]): MountInfo | undefined {
  let best: MountInfo | undefined;
  for (const mount of mounts) {
    const prefix = mount.mountPoint === '/' ? '/' : `${mount.mountPoint}/`;
    if (path !== mount.mountPoint && !path.startsWith(prefix)) continue;
    if (!best || mount.mountPoint.length >= best.mountPoint.length) best = mount;
  }
  return best;
}
