/** Small JSON records on disk: replaced as a whole or not at all. */
import { closeSync, fdatasync, openSync, readFileSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { writing } from '#base/disk-full.ts';
import { errnoOf } from '#base/errors.ts';

/**
 * Writes `text` to `path` with `mode`, atomically for every reader and for a kill of this process. A power loss soon after
 * may lose it, or leave it empty. Throws ResourceExhausted if the disk is full, else Node's error.
 */
export function writeRecord(path: string, text: string, mode: number): void {
  closeSync(writeAndRename(path, text, mode));
}

/**
 * The same at once; the returned promise resolves when a power loss can no longer take it, and rejects with Node's error
 * if it may.
 */
export function writeDurableRecord(path: string, text: string, mode: number): Promise<void> {
  const fd = writeAndRename(path, text, mode);
  return new Promise((resolve, reject) => {
    fdatasync(fd, (error) => {
      closeSync(fd);
      if (error) reject(error);
      else resolve();
    });
  });
}

function writeAndRename(path: string, text: string, mode: number): number {
  const draft = `${path}.tmp`;
  const fd = openSync(draft, 'w', mode);
  try {
    writing(path, () => writeSync(fd, text));
    renameSync(draft, path);
  } catch (error) {
    closeSync(fd);
    removeRecord(draft);
    throw error;
  }
  return fd;
}

/** The text of a record, undefined if there is none. Throws Node's error if it cannot be read. */
export function readRecord(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Removes a record. Idempotent. Throws Node's error if it cannot be removed. */
export function removeRecord(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}
