/** A disk of 16 MiB, filled: what the daemon writes down last must still find room. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDatabase, reserveLogRoom } from './database.ts';
import { RecordTable } from './record-table.ts';

let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'berth-full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', dir]);
});
afterEach(() => {
  execFileSync('umount', ['-l', dir]);
  rmSync(dir, { recursive: true });
});

function fillDisk(): void {
  expect(() => writeFileSync(join(dir, 'ballast'), Buffer.alloc(32 << 20))).toThrow('ENOSPC');
}

test('records can be changed and removed on a full disk', () => {
  const path = join(dir, 'state.db');
  const database = openDatabase(path);
  const table = new RecordTable<{ id: string; text: string }>(database, 'things', () => true);
  const ids = Array.from({ length: 100 }, (_, index) => `thing-${index}`);
  for (const id of ids) table.put({ id, text: 'x'.repeat(4000) });
  reserveLogRoom(database, path);
  fillDisk();
  for (const id of ids) table.put({ id, text: 'y'.repeat(4000) });
  for (const id of ids) table.remove(id);
  expect(table.load().records).toEqual([]);
  database.close();
});

test('a disk that is full before there is a reserve is no reason to fail', () => {
  const path = join(dir, 'state.db');
  const database = openDatabase(path);
  const table = new RecordTable<{ id: string }>(database, 'things', () => true);
  table.put({ id: 'a' });
  fillDisk();
  reserveLogRoom(database, path);
  expect(database.isTransaction).toBe(false);
  expect(table.load().records).toEqual([{ id: 'a' }]);
  database.close();
});

test('a record that finds no room is refused with the file and the next step, and changes nothing', () => {
  const path = join(dir, 'state.db');
  const database = openDatabase(path);
  const table = new RecordTable<{ id: string; text: string }>(database, 'things', () => true);
  table.put({ id: 'a', text: 'old' });
  reserveLogRoom(database, path);
  fillDisk();
  const put = () => table.put({ id: 'a', text: 'x'.repeat(8 << 20) });
  expect(put).toThrow(expect.objectContaining({ kind: 'ResourceExhausted' }));
  expect(put).toThrow(path);
  expect(put).toThrow('try again');
  expect(table.load().records).toEqual([{ id: 'a', text: 'old' }]);
  rmSync(join(dir, 'ballast'));
  put();
  expect(table.load().records[0]?.text).toHaveLength(8 << 20);
  database.close();
});
