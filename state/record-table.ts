import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { asDiskFull } from '#base/disk-full.ts';
import { messageOf } from '#base/errors.ts';

let failures = 0;

/** How many writes of records failed since the daemon's start. */
export function recordWriteFailures(): number {
  return failures;
}

function counted(write: () => void): void {
  try {
    write();
  } catch (error) {
    failures += 1;
    throw error;
  }
}

/** The bigint fields of a record are nanosecond times, named `...Ns`; JSON keeps them as decimal strings. */
function toJson(record: unknown): string {
  return JSON.stringify(record, (_key, value) => (typeof value === 'bigint' ? value.toString() : value));
}

/** Only fields of the record itself are times: below them stands what clients sent, such as a label of any name. */
function fromJson<R>(text: string): R {
  const record = JSON.parse(text) as Record<string, unknown>;
  for (const [name, value] of Object.entries(record))
    if (name.endsWith('Ns') && typeof value === 'string' && /^-?\d+$/.test(value))
      record[name] = BigInt(value);
  return record as R;
}

export interface DamagedRecord {
  readonly id: string;
  readonly problem: string;
  /** What stands in the table, for those who can make something of it. */
  readonly text: string;
}

/** Reads a table of records. Nothing is changed, so that an auditor may do it beside the daemon; empty if there is no such table. */
export function loadRecords<R extends { readonly id: string }>(
  database: DatabaseSync,
  table: string,
  isValid: (record: R) => boolean,
): { records: R[]; damaged: DamagedRecord[] } {
  const exists = database.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?").get(table);
  if (!exists) return { records: [], damaged: [] };
  return parseRows(database.prepare(`SELECT id, format, record FROM ${table}`).all(), isValid);
}

function parseRows<R extends { readonly id: string }>(
  rows: readonly Record<string, unknown>[],
  isValid: (record: R) => boolean,
): { records: R[]; damaged: DamagedRecord[] } {
  const records: R[] = [];
  const damaged: DamagedRecord[] = [];
  for (const row of rows) {
    const id = String(row.id);
    const text = String(row.record);
    try {
      const record = fromJson<R>(text);
      if (row.format !== 1) throw new Error(`format ${row.format} is not known to this version`);
      if (record.id !== id || !isValid(record)) throw new Error('fields are missing');
      records.push(record);
    } catch (error) {
      damaged.push({ id, problem: messageOf(error), text });
    }
  }
  return { records, damaged };
}

/**
 * Records of one kind by id, each a JSON text with a format version. A record that cannot be read is reported beside the
 * good ones and left in place: it is never a reason not to start.
 */
export class RecordTable<R extends { readonly id: string }> {
  readonly #upsert: StatementSync;
  readonly #remove: StatementSync;
  readonly #all: StatementSync;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #rollBack: StatementSync;
  readonly #database: DatabaseSync;
  readonly #isValid: (record: R) => boolean;
  readonly #place: string;

  /** `table` is a name of ours, never of a client. `isValid` checks the shape of what was read. */
  constructor(database: DatabaseSync, table: string, isValid: (record: R) => boolean) {
    database.exec(
      `CREATE TABLE IF NOT EXISTS ${table} (id TEXT PRIMARY KEY, format INTEGER NOT NULL, record TEXT NOT NULL) WITHOUT ROWID`,
    );
    this.#upsert = database.prepare(
      `INSERT INTO ${table} (id, format, record) VALUES (?, 1, ?) ON CONFLICT (id) DO UPDATE SET format = 1, record = excluded.record`,
    );
    this.#remove = database.prepare(`DELETE FROM ${table} WHERE id = ?`);
    this.#all = database.prepare(`SELECT id, format, record FROM ${table}`);
    this.#begin = database.prepare('BEGIN');
    this.#commit = database.prepare('COMMIT');
    this.#rollBack = database.prepare('ROLLBACK');
    this.#database = database;
    this.#isValid = isValid;
    this.#place = `${table} in ${database.location() ?? 'memory'}`;
  }

  /** Throws ResourceExhausted where the disk is full; nothing has changed then. */
  put(record: R): void {
    this.#write(record.id, () => this.#upsert.run(record.id, toJson(record)));
  }

  /** Does what `work` writes, in tables of the same database, as a whole or not at all. Throws as `put`. */
  atOnce(work: () => void): void {
    this.#begin.run();
    try {
      work();
      this.#write('several', () => this.#commit.run());
    } catch (error) {
      if (this.#database.isTransaction) this.#rollBack.run();
      throw error;
    }
  }

  /** Idempotent. Throws as `put`. */
  remove(id: string): void {
    this.#write(id, () => this.#remove.run(id));
  }

  #write(id: string, work: () => unknown): void {
    try {
      counted(work);
    } catch (error) {
      throw asDiskFull(error, `writing the record ${id} of ${this.#place}`);
    }
  }

  load(): { records: R[]; damaged: DamagedRecord[] } {
    return parseRows(this.#all.all(), this.#isValid);
  }
}
