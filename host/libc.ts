/**
 * The C library, called through FFI. Only files of `host/` import this one; all calls here are short and synchronous.
 * Numbers come from the Linux UAPI headers (x86-64 and arm64 agree on those used here).
 */
import { constants } from 'node:os';
import koffi from 'koffi';

export const libc = koffi.load('libc.so.6');

const errnoNames = new Map<number, string>(
  Object.entries(constants.errno).map(([name, number]) => [number, name]),
);

/** An error of a system call, shaped as Node's own: `code` is the errno name. Adapters in `host/` and above turn it into a RuntimeError. */
export class SystemCallError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  constructor(syscall: string, errno: number, subject: string) {
    const code = errnoNames.get(errno) ?? `errno ${errno}`;
    super(`${syscall} ${subject}: ${code}`);
    this.name = 'SystemCallError';
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

/** Throws SystemCallError, read from errno, when a call returned a negative result; otherwise returns the result. */
export function checked(result: number, syscall: string, subject: string): number {
  if (result < 0) throw new SystemCallError(syscall, koffi.errno(), subject);
  return result;
}

const pipe2Raw = libc.func('int pipe2(_Out_ int *fds, int flags)');
const closeRaw = libc.func('int close(int fd)');
const fcntlRaw = libc.func('int fcntl(int fd, int command, int argument)');

/** ioctl(2) with a buffer as its argument; the result is the kernel's, and errno tells of a negative one. */
export const ioctlRaw = libc.func('int ioctl(int fd, ulong request, void *argument)');

export const O_CLOEXEC = 0o2000000;
const F_DUPFD_CLOEXEC = 1030;

/** A pipe, both ends close-on-exec: [read end, write end]. */
export function pipe(): [number, number] {
  const fds = [0, 0];
  checked(pipe2Raw(fds, O_CLOEXEC), 'pipe2', '');
  return [fds[0]!, fds[1]!];
}

/** Closes a descriptor that this module's callers opened; errors mean a bug and are thrown. */
export function close(fd: number): void {
  checked(closeRaw(fd), 'close', `fd ${fd}`);
}

/** fcntl(2) with a number as its argument. Throws SystemCallError. */
export function fcntl(fd: number, command: number, argument: number): number {
  return checked(fcntlRaw(fd, command, argument), 'fcntl', `fd ${fd}`);
}

/** A close-on-exec copy of `fd` numbered at least `lowest`. */
export function duplicate(fd: number, lowest: number): number {
  return fcntl(fd, F_DUPFD_CLOEXEC, lowest);
}
