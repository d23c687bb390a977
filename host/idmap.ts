/**
 * Idmapped mounts (mount_setattr(2), MOUNT_ATTR_IDMAP, Linux 5.12; as overlay layers 5.19): files keep their owners on disk
 * and show those of a user namespace. System call numbers are those shared by all architectures since Linux 5.2.
 */
import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';
import { libc, SystemCallError } from './libc.ts';

const syscallOpenTree = libc.func('long syscall(long number, int directory, const char *path, uint flags)');
const syscallSetAttr = libc.func(
  'long syscall(long number, int directory, const char *path, uint flags, const void *attributes, ulong size)',
);
const syscallMove = libc.func(
  'long syscall(long number, int from, const char *fromPath, int to, const char *toPath, uint flags)',
);
const SYS_OPEN_TREE = 428;
const SYS_MOVE_MOUNT = 429;
const SYS_MOUNT_SETATTR = 442;
const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const OPEN_TREE_CLONE = 1;
const O_CLOEXEC = 0o2000000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MOUNT_ATTR_IDMAP = 0x00100000n;

function expect(result: number | bigint, syscall: string, subject: string): number {
  if (Number(result) < 0) throw new SystemCallError(syscall, koffi.errno(), subject);
  return Number(result);
}

/** Mounts the folder `source` at `target` with the id mappings of the user namespace pinned at `usernsPath`. Throws SystemCallError. */
export function idmapMount(source: string, target: string, usernsPath: string): void {
  const tree = expect(
    syscallOpenTree(SYS_OPEN_TREE, AT_FDCWD, source, OPEN_TREE_CLONE | O_CLOEXEC),
    'open_tree',
    source,
  );
  try {
    const userns = openSync(usernsPath, 'r');
    try {
      // struct mount_attr: attr_set, attr_clr, propagation, userns_fd; 64 bits each.
      const attributes = Buffer.alloc(32);
      attributes.writeBigUInt64LE(MOUNT_ATTR_IDMAP, 0);
      attributes.writeBigUInt64LE(BigInt(userns), 24);
      expect(
        syscallSetAttr(SYS_MOUNT_SETATTR, tree, '', AT_EMPTY_PATH, attributes, 32),
        'mount_setattr',
        source,
      );
    } finally {
      closeSync(userns);
    }
    expect(
      syscallMove(SYS_MOVE_MOUNT, tree, '', AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH),
      'move_mount',
      target,
    );
  } finally {
    closeSync(tree);
  }
}
