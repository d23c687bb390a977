import { errnoOf, messageOf, RuntimeError } from './errors.ts';

/** sqlite3.h: SQLITE_FULL, the insertion failed because the database or its disk is full. */
const sqliteFull = 13;

/** The room that is missing, by errno(3); inodes that are used up give ENOSPC too. */
const words: Readonly<Record<string, string>> = {
  ENOSPC: 'no space or no inodes left on the disk',
  EDQUOT: 'the disk quota is used up',
};

/** Whether an OCI runtime or another program says that a disk is full. */
export function saysDiskFull(text: string): boolean {
  return /no space left on device|disk quota exceeded/i.test(text);
}

/** Whether an error is that space, inodes or a quota of the disk are used up. */
export function isDiskFull(error: unknown): boolean {
  return (errnoOf(error) ?? '') in words || (error as { errcode?: unknown } | null)?.errcode === sqliteFull;
}

/**
 * The error as it is, or ResourceExhausted in its place if it or a cause of it is that a disk is full: with what was
 * `attempted` (such as `creating container ID`), the system's words with the path, and the next step.
 */
export function asDiskFull(error: unknown, attempted: string): unknown {
  if (error instanceof RuntimeError && error.kind === 'ResourceExhausted') return error;
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (!isDiskFull(cause)) continue;
    const isFull = words[errnoOf(cause) ?? ''] ?? words.ENOSPC;
    return new RuntimeError(
      'ResourceExhausted',
      `${attempted}: ${isFull}: ${messageOf(cause)}; remove what is not needed there, or unused images and ended pods, and try again`,
      { cause: error },
    );
  }
  return error;
}

/** Runs what writes the file `path`; a full disk, which Node's words name no path for, is told with it. Rethrows all else. */
export function writing<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asDiskFull(error, `writing ${path}`);
  }
}
