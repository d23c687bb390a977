/** Records of snapshots: in memory for questions, in the database for the next start. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

export type SnapshotKind = 'layer' | 'active' | 'view';

export interface SnapshotRecord {
  /** Names the directory. */
  readonly number: number;
  readonly kind: SnapshotKind;
  /** The chain ID of a layer; the caller's key otherwise. */
  readonly key: string;
  /** Number of the layer below. */
  readonly parent: number | undefined;
  /** Size of a layer; 0 for others. */
  readonly usedBytes: number;
  readonly inodes: number;
  /** The boot in which a layer was written, until it is known to be on the disk. */
  unsyncedBoot: string | undefined;
}

const schema = `
  CREATE TABLE IF NOT EXISTS snapshot_snapshots (
    driver TEXT NOT NULL,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    parent INTEGER,
    used_bytes INTEGER NOT NULL,
    inodes INTEGER NOT NULL,
    unsynced_boot TEXT,
    PRIMARY KEY (driver, number)
  ) STRICT, WITHOUT ROWID;
`;

export class SnapshotRecords {
  readonly #database: DatabaseSync;
  readonly #driver: string;
  readonly #insert: StatementSync;
  readonly #delete: StatementSync;
  readonly #markSynced: StatementSync;
  readonly #byNumber = new Map<number, SnapshotRecord>();
  readonly #layers = new Map<string, SnapshotRecord>();
  readonly #keyed = new Map<string, SnapshotRecord>();
  /** How many snapshots stand on each layer. */
  readonly #children = new Map<number, number>();

  /** Makes the table if it is missing and reads the records of `driver`. */
  constructor(database: DatabaseSync, driver: string) {
    this.#database = database;
    this.#driver = driver;
    database.exec(schema);
    this.#insert = database.prepare('INSERT INTO snapshot_snapshots VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
    this.#delete = database.prepare('DELETE FROM snapshot_snapshots WHERE driver = ? AND number = ?');
    this.#markSynced = database.prepare(
      'UPDATE snapshot_snapshots SET unsynced_boot = NULL WHERE driver = ? AND number = ?',
    );
    const rows = database.prepare('SELECT * FROM snapshot_snapshots WHERE driver = ?').all(driver);
    for (const row of rows)
      this.#remember({
        number: row.number as number,
        kind: row.kind as SnapshotKind,
        key: row.key as string,
        parent: (row.parent as number | null) ?? undefined,
        usedBytes: row.used_bytes as number,
        inodes: row.inodes as number,
        unsyncedBoot: (row.unsynced_boot as string | null) ?? undefined,
      });
  }

  #remember(record: SnapshotRecord): void {
    this.#byNumber.set(record.number, record);
    (record.kind === 'layer' ? this.#layers : this.#keyed).set(record.key, record);
    if (record.parent !== undefined)
      this.#children.set(record.parent, (this.#children.get(record.parent) ?? 0) + 1);
  }

  /** The lowest number that is free: short names keep mount options short. */
  freeNumber(): number {
    let number = 1;
    while (this.#byNumber.has(number)) number += 1;
    return number;
  }

  /** Adds a record and runs `effect` in one transaction: neither is there without the other. */
  add(record: SnapshotRecord, effect: () => void = () => {}): void {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const { number, kind, key, parent, usedBytes, inodes, unsyncedBoot } = record;
      this.#insert.run(
        this.#driver,
        number,
        kind,
        key,
        parent ?? null,
        usedBytes,
        inodes,
        unsyncedBoot ?? null,
      );
      effect();
      this.#database.exec('COMMIT');
    } catch (error) {
      this.#database.exec('ROLLBACK');
      throw error;
    }
    this.#remember(record);
  }

  remove(record: SnapshotRecord): void {
    this.#delete.run(this.#driver, record.number);
    this.#byNumber.delete(record.number);
    (record.kind === 'layer' ? this.#layers : this.#keyed).delete(record.key);
    if (record.parent === undefined) return;
    const left = (this.#children.get(record.parent) ?? 1) - 1;
    if (left === 0) this.#children.delete(record.parent);
    else this.#children.set(record.parent, left);
  }

  markSynced(records: readonly SnapshotRecord[]): void {
    for (const record of records) {
      if (this.#byNumber.get(record.number) !== record) continue;
      this.#markSynced.run(this.#driver, record.number);
      record.unsyncedBoot = undefined;
    }
  }

  findLayer(chainId: string): SnapshotRecord | undefined {
    return this.#layers.get(chainId);
  }

  /** An active snapshot or view. */
  findKeyed(key: string): SnapshotRecord | undefined {
    return this.#keyed.get(key);
  }

  get(number: number): SnapshotRecord | undefined {
    return this.#byNumber.get(number);
  }

  hasChildren(number: number): boolean {
    return this.#children.has(number);
  }

  layers(): SnapshotRecord[] {
    return [...this.#layers.values()];
  }

  keyed(): SnapshotRecord[] {
    return [...this.#keyed.values()];
  }

  /** A snapshot's layers, topmost first, itself left out unless it is a layer. */
  stack(record: SnapshotRecord | undefined): SnapshotRecord[] {
    const stack: SnapshotRecord[] = [];
    for (let next = record; next; next = next.parent === undefined ? undefined : this.get(next.parent))
      if (next.kind === 'layer') stack.push(next);
    return stack;
  }
}
