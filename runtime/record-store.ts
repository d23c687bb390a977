import { RuntimeError } from '#base/errors.ts';
import type { RecordTable } from '#state/record-table.ts';

/**
 * Records in memory with their table on disk. Every change is written to disk first and put in memory second; a record is
 * replaced, never edited, and never changes its group. `noun` names the kind in messages.
 */
export class RecordStore<R extends { readonly id: string }> {
  readonly #records = new Map<string, R>();
  /** Records by group, for those who ask for one group again and again. */
  readonly #groups = new Map<string, Map<string, R>>();
  readonly #groupOf: ((record: R) => string) | undefined;
  readonly #table: RecordTable<R>;
  readonly #noun: string;

  constructor(table: RecordTable<R>, noun: string, groupOf?: (record: R) => string) {
    this.#table = table;
    this.#noun = noun;
    this.#groupOf = groupOf;
  }

  /** Takes records that were read from disk; nothing is written. */
  adopt(records: Iterable<R>): void {
    for (const record of records) this.#remember(record);
  }

  #remember(record: R): void {
    this.#records.set(record.id, record);
    if (!this.#groupOf) return;
    const name = this.#groupOf(record);
    const group = this.#groups.get(name) ?? new Map<string, R>();
    this.#groups.set(name, group.set(record.id, record));
  }

  #forget(id: string): void {
    const record = this.#records.get(id);
    this.#records.delete(id);
    if (!record || !this.#groupOf) return;
    const name = this.#groupOf(record);
    const group = this.#groups.get(name);
    group?.delete(id);
    if (group?.size === 0) this.#groups.delete(name);
  }

  put(record: R): R {
    this.#table.put(record);
    this.#remember(record);
    return record;
  }

  /** Replaces fields of the record that stands now. Throws NotFound when there is none. */
  update(id: string, change: Partial<R>): R {
    return this.put({ ...this.getExact(id), ...change });
  }

  /**
   * As `update` of this record and of one in another store of the same database: of both or, also when the daemon dies in
   * between, of neither.
   */
  updateWith<O extends { readonly id: string }>(
    [id, change]: readonly [id: string, change: Partial<R>],
    other: RecordStore<O>,
    [otherId, otherChange]: readonly [id: string, change: Partial<O>],
  ): void {
    const record = { ...this.getExact(id), ...change };
    const otherRecord = { ...other.getExact(otherId), ...otherChange };
    this.#table.atOnce(() => {
      this.#table.put(record);
      other.#table.put(otherRecord);
    });
    this.#remember(record);
    other.#remember(otherRecord);
  }

  remove(id: string): void {
    this.#table.remove(id);
    this.#forget(id);
  }

  getExact(id: string): R {
    const record = this.#records.get(id);
    if (!record) throw new RuntimeError('NotFound', `${this.#noun} ${id} does not exist`);
    return record;
  }

  findExact(id: string): R | undefined {
    return this.#records.get(id);
  }

  /** By id or unique prefix. Throws InvalidArgument for '', FailedPrecondition for an ambiguous prefix. */
  find(idOrPrefix: string): R | undefined {
    if (idOrPrefix === '') throw new RuntimeError('InvalidArgument', `the ${this.#noun} id is empty`);
    const exact = this.#records.get(idOrPrefix);
    if (exact || idOrPrefix.length >= 64) return exact;
    let found: R | undefined;
    for (const [id, record] of this.#records) {
      if (!id.startsWith(idOrPrefix)) continue;
      if (found)
        throw new RuntimeError(
          'FailedPrecondition',
          `the ${this.#noun} id prefix ${idOrPrefix} is ambiguous: it fits ${found.id} and ${id}`,
        );
      found = record;
    }
    return found;
  }

  /** As `find`, but throws NotFound when there is none. */
  get(idOrPrefix: string): R {
    const record = this.find(idOrPrefix);
    if (!record) throw new RuntimeError('NotFound', `${this.#noun} ${idOrPrefix} does not exist`);
    return record;
  }

  list(): R[] {
    return [...this.#records.values()];
  }

  /** Records of one group; empty for an unknown one. */
  listGroup(name: string): R[] {
    return [...(this.#groups.get(name)?.values() ?? [])];
  }
}
