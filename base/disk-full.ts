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

/**
 * The error as it is, or ResourceExhausted in its place if it or a cause of it is that a disk is full: with what was
 * `attempted` (such as `creating container ID`), the system's words with the path, and the next step.
 */
export function asDiskFull(error: unknown, attempted: string): unknown {
  if (error instanceof RuntimeError && error.kind === 'ResourceExhausted') return error;
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const isFull =
      words[errnoOf(cause) ?? ''] ??
      ((cause as { errcode?: unknown }).errcode === sqliteFull ? words.ENOSPC : undefined);
    if (isFull === undefined) continue;
    return new RuntimeError(
      'ResourceExhausted',
      `${attempted}: ${isFull}: ${messageOf(cause)}; remove what is not needed there, or unused images and ended pods, and try again`,
      { cause: error },
    );
  }
  return error;
}
