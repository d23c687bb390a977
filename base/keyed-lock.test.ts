import { expect, test } from 'vitest';
import { KeyedLock } from './keyed-lock.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('work under one key runs in order of arrival, one at a time; other keys do not wait', async () => {
  const lock = new KeyedLock();
  const seen: string[] = [];
  const job = (key: string, name: string) =>
    lock.run(key, async () => {
      seen.push(`${name} begins`);
      await turn();
      seen.push(`${name} ends`);
    });
  await Promise.all([job('a', 'one'), job('a', 'two'), job('b', 'other')]);
  expect(seen.filter((line) => !line.startsWith('other'))).toEqual([
    'one begins',
    'one ends',
    'two begins',
    'two ends',
  ]);
  expect(seen.indexOf('other begins')).toBeLessThan(seen.indexOf('one ends'));
});

test('a failure passes the lock on, and nothing is kept of a key', async () => {
  const lock = new KeyedLock();
  const failing = lock.run('a', () => Promise.reject(new Error('broken')));
  const next = lock.run('a', async () => 'fine');
  await expect(failing).rejects.toThrow('broken');
  expect(await next).toBe('fine');
  expect(lock.isHeld('a')).toBe(false);
});
