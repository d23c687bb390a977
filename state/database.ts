/**
 * The one database of the daemon (node:sqlite, WAL). A commit survives the death of the daemon at any instruction; a
 * power failure may lose the last few commits but never the database (synchronous=NORMAL in WAL), and what those described
 * lived in /run or is found again by reconciliation.
 */
import { existsSync, mkdirSync } from 'node:fs';
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
