import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Deadlines, parseTimeoutMs } from './deadlines.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test.each([
  ['1H', 3_600_000],
  ['99999999S', 99_999_999_000],
  ['120000m', 120_000],
  ['0n', 0],
  ['1500u', 1.5],
  ['', undefined],
  ['S', undefined],
  ['12', undefined],
  ['1 S', undefined],
  ['-1S', undefined],
  ['123456789S', undefined],
  ['1x', undefined],
])('the timeout %j is %s ms', (header, ms) => {
  expect(parseTimeoutMs(header)).toBe(ms);
});

test('each call ends at its own time, in whatever order they came, and one that ended before does not', () => {
  const deadlines = new Deadlines();
  const ended: string[] = [];
  const begin = (name: string, inMs: number) => {
    const call = { expire: () => void ended.push(name) };
    deadlines.add(call, Date.now() + inMs);
    return call;
  };
  begin('late', 3000);
  const gone = begin('gone', 500);
  begin('early', 1000);
  begin('endless', Infinity);
  deadlines.delete(gone);
  vi.advanceTimersByTime(999);
  expect(ended).toEqual([]);
  vi.advanceTimersByTime(2);
  expect(ended).toEqual(['early']);
  begin('passed', -5);
  vi.advanceTimersByTime(2);
  expect(ended).toEqual(['early', 'passed']);
  vi.advanceTimersByTime(2000);
  expect(ended).toEqual(['early', 'passed', 'late']);
  expect(vi.getTimerCount()).toBe(0);
});

test('a clock that is set meanwhile ends no call', () => {
  const deadlines = new Deadlines();
  const expire = vi.fn();
  deadlines.add({ expire }, Date.now() + 1000);
  vi.setSystemTime(Date.now() + 3_600_000);
  vi.advanceTimersByTime(990);
  expect(expire).not.toHaveBeenCalled();
  vi.advanceTimersByTime(20);
  expect(expire).toHaveBeenCalledOnce();
});

test('of a deadline that has passed no timer is told a time before now, which Node would warn of', () => {
  const timers = vi.spyOn(globalThis, 'setTimeout');
  const expire = vi.fn();
  new Deadlines().add({ expire }, Date.now() - 5);
  expect(timers.mock.lastCall?.[1]).toBe(0);
  vi.advanceTimersByTime(1);
  expect(expire).toHaveBeenCalledOnce();
});
