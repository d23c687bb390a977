import { RuntimeError } from '#base/errors.ts';
import type { RecordTable } from '#state/record-table.ts';

/**
 * Records in memory with their table on disk. Every change is written to disk first and put in memory second; a record is
 * replaced, never edited. `noun` names the kind in messages.
 */
export class RecordStore<R extends { readonly id: string }> {
  readonly #records = new Map<string, R>();
  readonly #table: RecordTable<R>;
  readonly #noun: string;

  constructor(table: RecordTable<R>, noun: string) {
    this.#table = table;
    this.#noun = noun;
  }

  /** Takes records that were read from disk; nothing is written. */
  adopt(records: Iterable<R>): void {
    for (const record of records) this.#records.set(record.id, record);
  }

  put(record: R): R {
    this.#table.put(record);
    this.#records.set(record.id, record);
    return record;
  }

  /** Replaces fields of the record that stands now. Throws NotFound when there is none. */
  update(id: string, change: Partial<R>): R {
    return this.put({ ...this.getExact(id), ...change });
  }

  remove(id: string): void {
    this.#table.remove(id);
    this.#records.delete(id);
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
}
