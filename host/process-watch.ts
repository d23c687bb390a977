/**
 * Waits for the end of a process that is nobody's child here, by its pidfd (pidfd_open(2)). libuv polls the descriptor as if
 * it were a pipe: it becomes readable when the process ends, the read fails with EINVAL, and that error is the news. So
 * there is no thread, no timer and no helper; a watch costs one descriptor.
 */
import { constants } from 'node:os';
import koffi from 'koffi';
import { decodeStatus, type ExitStatus } from './launch.ts';
import { close, ioctlRaw, libc, SystemCallError } from './libc.ts';
import { openPipeHandle } from './pipe-handle.ts';
import { type ProcessIdentity, readExitStatus, startTimeOf } from './proc.ts';

/** The same number on every architecture. */
const SYS_pidfd_open = 434;
const syscallRaw = libc.func('long syscall(long number, long first, long second)');

/** linux/pidfd.h: struct pidfd_info in its first size; `exit_code` is filled from Linux 6.15 on, once the process is reaped. */
const pidfdInfoBytes = 64;
const PIDFD_GET_INFO = (3n << 30n) | (BigInt(pidfdInfoBytes) << 16n) | (0xffn << 8n) | 11n;
const PIDFD_INFO_EXIT = 1n << 3n;
const exitCodeAt = 60;

export interface ProcessWatch {
  /**
   * Settles when the process has ended, at once if it has already; never rejects. The value is how it ended, undefined
   * where the kernel does not tell: it is a zombie no more, and the kernel is older than 6.15.
   */
  readonly ended: Promise<ExitStatus | undefined>;
  /** Stops watching; `ended` then never settles. Idempotent. */
  close(): void;
}

function statusOfReaped(fd: number): ExitStatus | undefined {
  const info = Buffer.alloc(pidfdInfoBytes);
  info.writeBigUInt64LE(PIDFD_INFO_EXIT, 0);
  if (ioctlRaw(fd, PIDFD_GET_INFO, info) !== 0) return undefined;
  if ((info.readBigUInt64LE(0) & PIDFD_INFO_EXIT) === 0n) return undefined;
  return decodeStatus(info.readInt32LE(exitCodeAt));
}

const over = (status: ExitStatus | undefined): ProcessWatch => ({
  ended: Promise.resolve(status),
  close: () => {},
});

/** Watches exactly this process. Throws SystemCallError when descriptors have run out. */
export function watchProcess(identity: ProcessIdentity): ProcessWatch {
  const fd = Number(syscallRaw(SYS_pidfd_open, identity.pid, 0));
  if (fd < 0) {
    const errno = koffi.errno();
    if (errno === constants.errno.ESRCH) return over(undefined);
    throw new SystemCallError('pidfd_open', errno, `pid ${identity.pid}`);
  }
  // Looked at after the descriptor is open: from here on it cannot come to mean another process.
  if (startTimeOf(identity.pid) !== identity.startTime) {
    close(fd);
    return over(undefined);
  }
  const handle = openPipeHandle(fd);
  let isOpen = true;
  const end = () => {
    if (!isOpen) return;
    isOpen = false;
    handle.close();
  };
  const ended = new Promise<ExitStatus | undefined>((resolve) => {
    handle.onread = () => {
      if (!isOpen) return;
      // A zombie still shows its status in /proc; once reaped, the descriptor may tell.
      const status = readExitStatus(identity) ?? statusOfReaped(fd);
      end();
      resolve(status);
    };
  });
  handle.unref();
  handle.readStart();
  return { ended, close: end };
}
