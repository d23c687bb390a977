/**
 * An overlay whose options do not fit the one page that mount(2) takes, made by the newer calls, which take each lower
 * directory by itself (fsconfig(2) with `lowerdir+`, Linux 6.5). By number: older C libraries have no names for them.
 */
import { checked, close, libc } from './libc.ts';
import type { MountSpec } from './mount.ts';

const syscall3 = libc.func('long syscall(long number, const char *text, ulong flags, ulong more)');
const syscall5 = libc.func(
  'long syscall(long number, int fd, uint command, const char *key, const char *value, int aux)',
);
const syscallMove = libc.func(
  'long syscall(long number, int from, const char *fromPath, int to, const char *toPath, uint flags)',
);
const syscallMount = libc.func('long syscall(long number, int fd, uint flags, uint attributes)');

const SYS_move_mount = 429;
const SYS_fsopen = 430;
const SYS_fsconfig = 431;
const SYS_fsmount = 432;
const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const FSCONFIG_SET_FLAG = 0;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const AT_FDCWD = -100;
/** MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC have the same bits as their MOUNT_ATTR_ twins. */
const sharedFlags = 0xf;

/** The options of a mount one by one; each lower directory of an overlay is one. */
function* separateOptions(data: string): Generator<[key: string, value: string | null]> {
  for (const option of data.split(',')) {
    const equals = option.indexOf('=');
    if (equals < 0) yield [option, null];
    else if (!option.startsWith('lowerdir=')) yield [option.slice(0, equals), option.slice(equals + 1)];
    else for (const lower of option.slice(equals + 1).split(':')) yield ['lowerdir+', lower];
  }
}

/** Makes a mount option by option. Throws SystemCallError; EINVAL for `lowerdir+` means a kernel older than 6.5. */
export function mountByOptions(spec: MountSpec, target: string): void {
  const fs = checked(Number(syscall3(SYS_fsopen, spec.type, FSOPEN_CLOEXEC, 0)), 'fsopen', spec.type);
  try {
    const set = (command: number, key: string | null, value: string | null) =>
      checked(
        Number(syscall5(SYS_fsconfig, fs, command, key, value, 0)),
        'fsconfig',
        `${key} ${value} for ${target}`,
      );
    set(FSCONFIG_SET_STRING, 'source', spec.source);
    for (const [key, value] of separateOptions(spec.data))
      set(value === null ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, key, value);
    set(FSCONFIG_CMD_CREATE, null, null);
    const mount = checked(
      Number(syscallMount(SYS_fsmount, fs, FSMOUNT_CLOEXEC, spec.flags & sharedFlags)),
      'fsmount',
      target,
    );
    try {
      checked(
        Number(syscallMove(SYS_move_mount, mount, '', AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH)),
        'move_mount',
        target,
      );
    } finally {
      close(mount);
    }
  } finally {
    close(fs);
  }
}
