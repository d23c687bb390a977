import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { GracePeriods } from './grace-periods.ts';

let directory: string;
const log = pino({ level: 'silent' });
const read = (): string => readFileSync(join(directory, 'rcu_expedited'), 'utf8').trim();
const write = (name: string, value: string): void => writeFileSync(join(directory, name), `${value}\n`);
/** Another daemon on the same node. */
const open = () => new GracePeriods({ notePath: join(directory, 'note'), log, directory });

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'grace-'));
  write('rcu_expedited', '0');
  write('rcu_normal', '0');
});

afterEach(() => rmSync(directory, { recursive: true }));

test('the setting is there as long as anybody works, also one who fails, and then it is as before', async () => {
  const periods = open();
  const release = Promise.withResolvers<void>();
  const long = periods.expedited(() => release.promise);
  await expect(periods.expedited(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(read()).toBe('1');
  release.resolve();
  await long;
  expect(read()).toBe('0');
});

test('what a killed daemon left is taken back by the next one', async () => {
  void open().expedited(() => new Promise(() => {}));
  expect(read()).toBe('1');
  const next = open();
  next.recover();
  expect(read()).toBe('0');
  write('rcu_expedited', '1');
  next.recover();
  expect(read()).toBe('1');
});

test.each([
  ['rcu_expedited', '1'],
  ['rcu_normal', '1'],
  ['realtime', '1'],
])('nothing is touched where %s is %s', async (name, value) => {
  write(name, value);
  const before = read();
  const seen = await open().expedited(async () => read());
  expect([seen, read()]).toEqual([before, before]);
});

test('where the kernel refuses, the work is done all the same', async () => {
  rmSync(join(directory, 'rcu_expedited'));
  const periods = new GracePeriods({ notePath: join(directory, 'gone', 'note'), log, directory });
  expect(await periods.expedited(async () => 'done')).toBe('done');
  expect(await periods.expedited(async () => 'again')).toBe('again');
});
