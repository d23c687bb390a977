/**
 * An exclusive lock on a file, held by the kernel for as long as this process lives: it needs no clean-up after a crash
 * and cannot be stale (flock(2)).
 */
import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import koffi from 'koffi';
import { RuntimeError } from '#base/errors.ts';
import { libc } from './libc.ts';
import { hasOpen } from './proc.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;
const flockRaw = libc.func('int flock(int fd, int operation)');
const EWOULDBLOCK = 11;

/**
 * The pid of the process that holds the lock on `path`; undefined if nobody does. Takes no lock to find out, or a daemon that
 * starts at that moment would be refused it: the holder is who is named in the file and has it open.
 */
export function findLockHolder(path: string): number | undefined {
  if (!existsSync(path)) return undefined;
  const pid = Number(readFileSync(path, 'latin1').trim());
  return pid > 0 && hasOpen(pid, path) ? pid : undefined;
}

/**
 * Takes the lock on `path`, making the file, and writes our pid into it for people to read. Returns what lets it go.
 * Throws FailedPrecondition naming the holder if somebody has it, Node's error if the file cannot be made.
 */
export function lockFile(path: string): () => void {
  // Append mode: opening must not empty a file that another process holds.
  const fd = openSync(path, 'a+', 0o600);
  if (flockRaw(fd, LOCK_EX | LOCK_NB) !== 0) {
    const errno = koffi.errno();
    const holder = readFileSync(path, 'latin1').trim();
    closeSync(fd);
    if (errno !== EWOULDBLOCK) throw new RuntimeError('Internal', `lock ${path}: errno ${errno}`);
    throw new RuntimeError(
      'FailedPrecondition',
      `lock ${path}: process ${holder} holds it, stop that daemon first`,
    );
  }
  ftruncateSync(fd);
  writeSync(fd, `${process.pid}\n`);
  return () => closeSync(fd);
}
