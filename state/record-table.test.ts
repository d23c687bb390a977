import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { RecordTable } from './record-table.ts';

interface Row {
  readonly id: string;
  readonly createdAtNs: bigint;
  readonly labels: Readonly<Record<string, string>>;
}

test('times come back as numbers, and labels as text whatever they are called', () => {
  const table = new RecordTable<Row>(new DatabaseSync(':memory:'), 'rows', () => true);
  const row = { id: 'a', createdAtNs: 1_700_000_000_123_456_789n, labels: { uptimeNs: '12', Ns: '-3' } };
  table.put(row);
  expect(table.load()).toEqual({ records: [row], damaged: [] });
});
