import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { persist } from './persist.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('what fails is tried again, later each time, until it succeeds', async () => {
  const tries: number[] = [];
  const failures: unknown[] = [];
  await persist(
    () => {
      tries.push(Date.now());
      if (tries.length < 4) throw new Error(`try ${tries.length}`);
    },
    (error) => failures.push(error),
  );
  expect(tries.length).toBe(1);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(tries.map((at) => at - tries[0]!)).toEqual([0, 1000, 3000, 7000]);
  expect(failures.map(String)).toEqual(['Error: try 1', 'Error: try 2', 'Error: try 3']);
});

test('the pauses end growing at five minutes', async () => {
  let tries = 0;
  await persist(
    () => {
      tries += 1;
      throw new Error('never');
    },
    () => {},
  );
  await vi.advanceTimersByTimeAsync(511_000);
  const before = tries;
  await vi.advanceTimersByTimeAsync(900_000);
  expect(tries - before).toBe(3);
});
