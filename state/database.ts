/**
 * The one database of the daemon (node:sqlite, WAL). A commit survives the death of the daemon at any instruction; a
 * power failure may lose the last few commits but never the database (synchronous=NORMAL in WAL), and what those described
 * lived in /run or is found again by reconciliation.
 */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { messageOf, RuntimeError } from '#base/errors.ts';

/** Opens a database to look at, also beside the daemon that writes it. Throws NotFound if there is none. */
export function openDatabaseReadOnly(path: string): DatabaseSync {
  if (!existsSync(path)) throw new RuntimeError('NotFound', `state database ${path}: there is none`);
  return new DatabaseSync(path, { readOnly: true, timeout: 5000 });
}

/** Opens or makes the database. Throws Internal naming the file when it cannot be opened. */
export function openDatabase(path: string): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  try {
    const database = new DatabaseSync(path);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -512;');
    return database;
  } catch (error) {
    throw new RuntimeError('Internal', `opening the state database ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** More than the thousand pages after which SQLite begins the log anew, so that room is left wherever in it we are. */
const reservedBytes = 6 << 20;

/**
 * Makes the write-ahead log as long as it will get, so that records can still be changed and removed when the disk is full:
 * without that, nothing could be removed to make room. Takes some 10 ms for a new log and nothing for one that a killed daemon left.
 * Does nothing where there is no room for it.
 */
export function reserveLogRoom(database: DatabaseSync, path: string): void {
  const isLong = (): boolean =>
    (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) >= reservedBytes / 2;
  if (isLong()) return;
  try {
    // What does not fit into the cache goes to the log before the commit, and stays there as room after the rollback.
    database.exec(
      `BEGIN; CREATE TABLE reserved_room (content BLOB); INSERT INTO reserved_room VALUES (zeroblob(${reservedBytes})); ROLLBACK`,
    );
  } catch {
    // The disk is full already. SQLite has rolled back by itself, or does so now.
    if (database.isTransaction) database.exec('ROLLBACK');
  }
}
