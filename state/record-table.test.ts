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

test('what is written at once is written as a whole or not at all', () => {
  const database = new DatabaseSync(':memory:');
  const table = new RecordTable<Row>(database, 'rows', () => true);
  const other = new RecordTable<Row>(database, 'others', () => true);
  const row = (id: string): Row => ({ id, createdAtNs: 1n, labels: {} });
  const failing = () =>
    table.atOnce(() => {
      table.put(row('a'));
      other.put(row('b'));
      throw new Error('in between');
    });
  expect(failing).toThrow('in between');
  expect([...table.load().records, ...other.load().records]).toEqual([]);
  table.atOnce(() => {
    table.put(row('a'));
    other.put(row('b'));
  });
  expect([...table.load().records, ...other.load().records]).toEqual([row('a'), row('b')]);
});
