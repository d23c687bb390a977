import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { runAll } from './limiter.ts';

const never = new AbortController().signal;

it('keeps the order of what came of all', async () => {
  expect(await runAll([3, 1, 2], 2, never, async (item, index) => item * 10 + index)).toEqual([30, 11, 22]);
});

it('after a failure stops the others, waits for them, and throws what failed first', async () => {
  const seen: string[] = [];
  const all = runAll(['slow', 'fails', 'later'], 2, never, async (item, _index, signal) => {
    seen.push(`${item} begins`);
    if (item === 'fails') throw new Error('the first');
    while (!signal.aborted) await setImmediate();
    for (let turn = 0; turn < 10; turn += 1) await setImmediate();
    seen.push(`${item} ends`);
    throw new Error('canceled');
  });
  await expect(all).rejects.toThrow('the first');
  expect(seen).toEqual(['slow begins', 'fails begins', 'slow ends']);
});

it('hands on that the caller gives up', async () => {
  const caller = new AbortController();
  const all = runAll([1], 1, caller.signal, async (_item, _index, signal) => {
    caller.abort();
    signal.throwIfAborted();
  });
  await expect(all).rejects.toThrow('aborted');
});
