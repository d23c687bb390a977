import { expect, test } from 'vitest';
import { SingleFlight } from './single-flight.ts';

/** Work that ends when it is told to, or when it is canceled. */
function makeWork() {
  const signals: AbortSignal[] = [];
  const ends: ((value: string) => void)[] = [];
  const work = (signal: AbortSignal) => {
    signals.push(signal);
    return new Promise<string>((resolve, reject) => {
      ends.push(resolve);
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  };
  return { work, signals, ends };
}

test('those who ask meanwhile get the same result, later ones start anew', async () => {
  const flights = new SingleFlight<string>();
  const { work, ends } = makeWork();
  const both = [flights.run('key', undefined, work), flights.run('key', undefined, work)];
  ends[0]!('first');
  expect(await Promise.all(both)).toEqual(['first', 'first']);
  const later = flights.run('key', undefined, work);
  ends[1]!('second');
  expect(await later).toBe('second');
});

test('work goes on while anyone waits for it, and is canceled when the last one leaves', async () => {
  const flights = new SingleFlight<string>();
  const { work, signals } = makeWork();
  const [first, second] = [new AbortController(), new AbortController()];
  const calls = [flights.run('key', first.signal, work), flights.run('key', second.signal, work)];
  first.abort('first left');
  await expect(calls[0]).rejects.toBe('first left');
  expect(signals[0]!.aborted).toBe(false);
  second.abort('second left');
  await expect(calls[1]).rejects.toBe('second left');
  expect(signals[0]!.aborted).toBe(true);
});

test('a newcomer does not join work that is being given up', async () => {
  const flights = new SingleFlight<string>();
  const { work, ends } = makeWork();
  const cancel = new AbortController();
  const call = flights.run('key', cancel.signal, work);
  cancel.abort('left');
  const fresh = flights.run('key', undefined, work);
  await expect(call).rejects.toBe('left');
  ends[1]!('fresh');
  expect(await fresh).toBe('fresh');
  expect(flights.isFlying('key')).toBe(false);
});

test('a failure reaches everybody, and is not kept', async () => {
  const flights = new SingleFlight<string>();
  const fail = () => Promise.reject(new Error('broken'));
  const calls = [flights.run('key', undefined, fail), flights.run('key', new AbortController().signal, fail)];
  for (const call of calls) await expect(call).rejects.toThrow('broken');
  expect(await flights.run('key', undefined, async () => 'mended')).toBe('mended');
});
