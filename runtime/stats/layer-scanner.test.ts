import pino from 'pino';
import { afterEach, expect, it, vi } from 'vitest';
import type { ContainerRecord } from '../container/record.ts';
import type { LifecycleEventType } from '../contract.ts';
import { LayerScanner, type LayerUsage } from './layer-scanner.ts';
import { containerRecord, recordStores } from './testing/records.ts';

const intervalsMs = { changing: 10, still: 40, unasked: 400 };
let scanner: LayerScanner;
let chosenIntervals = intervalsMs;
let availableBytes = 0;
afterEach(() => {
  scanner.stop();
  chosenIntervals = intervalsMs;
});

function setUp(usage: (id: string) => Promise<LayerUsage>, ...records: ContainerRecord[]) {
  const { containers } = recordStores();
  for (const record of records) containers.put(record);
  let now = 0n;
  scanner = new LayerScanner({
    containers,
    usage,
    mountpoint: '/store',
    availableBytes: () => availableBytes,
    clock: () => ++now,
    log: pino({ level: 'silent' }),
    intervalsMs: chosenIntervals,
  });
  const tell = (type: LifecycleEventType, record: ContainerRecord) =>
    scanner.onEvent({ type, subjectId: record.id, sandboxId: record.sandboxId, atNs: 1n });
  return { containers, tell };
}

it('counts a container soon after it was created, and again while it changes', async () => {
  let usedBytes = 0;
  const a = containerRecord('a', 'pod', { state: 'created' });
  const { containers, tell } = setUp(async () => {
    usedBytes += 100;
    return { usedBytes, inodesUsed: 1 };
  });
  scanner.start();
  expect(scanner.find(a.id)).toBeUndefined();
  containers.put(a);
  tell('created', a);
  await expect.poll(() => scanner.find(a.id)).toMatchObject({ mountpoint: '/store', inodesUsed: 1n });
  const first = scanner.find(a.id)!;
  await expect.poll(() => scanner.find(a.id)!.usedBytes).toBeGreaterThan(first.usedBytes);
  expect(scanner.find(a.id)!.timestampNs).toBeGreaterThan(first.timestampNs);
});

it('counts an unchanged layer less and less often', async () => {
  const a = containerRecord('a', 'pod');
  const usage = vi.fn(async () => ({ usedBytes: 5, inodesUsed: 1 }));
  setUp(usage, a);
  scanner.start();
  scanner.find(a.id);
  const startedAt = performance.now();
  await expect.poll(() => usage.mock.calls.length).toBeGreaterThanOrEqual(5);
  // Intervals of 10, 20, 40 and 40 ms between five counts.
  expect(performance.now() - startedAt).toBeGreaterThan(100);
});

it('keeps the figures of an exited container, counted after its exit, and counts it no more', async () => {
  let usedBytes = 1;
  const usage = vi.fn(async () => ({ usedBytes, inodesUsed: 1 }));
  const a = containerRecord('a', 'pod');
  const { containers, tell } = setUp(usage, a);
  scanner.start();
  await expect.poll(() => scanner.find(a.id)?.usedBytes).toBe(1n);
  usedBytes = 77;
  containers.update(a.id, { state: 'exited' });
  tell('stopped', a);
  await expect.poll(() => scanner.find(a.id)?.usedBytes).toBe(77n);
  const count = usage.mock.calls.length;
  await new Promise((resolve) => setTimeout(resolve, 4 * intervalsMs.still));
  expect(usage.mock.calls.length).toBe(count);
  containers.remove(a.id);
  tell('deleted', a);
  expect(scanner.find(a.id)).toBeUndefined();
});

it('lets a layer that takes for ever hold up no other', async () => {
  const slow = containerRecord('slow', 'pod');
  const quick = containerRecord('quick', 'pod');
  let count = 0;
  setUp(
    (id) => (id === slow.id ? new Promise(() => {}) : Promise.resolve({ usedBytes: ++count, inodesUsed: 1 })),
    slow,
    quick,
  );
  scanner.start();
  scanner.find(quick.id);
  await expect.poll(() => count).toBeGreaterThan(3);
  expect(scanner.find(slow.id)).toBeUndefined();
});

it('survives a layer that cannot be counted', async () => {
  const a = containerRecord('a', 'pod');
  const b = containerRecord('b', 'pod');
  setUp(
    (id) =>
      id === a.id ? Promise.reject(new Error('gone')) : Promise.resolve({ usedBytes: 1, inodesUsed: 1 }),
    a,
    b,
  );
  scanner.start();
  await expect.poll(() => scanner.find(b.id)).toBeDefined();
  expect(scanner.find(a.id)).toBeUndefined();
});

it('has new figures for a list when the disk has lost much room, and only then', async () => {
  const gib = 2 ** 30;
  availableBytes = 4 * gib;
  let usedBytes = 1;
  const usage = vi.fn(async () => ({ usedBytes, inodesUsed: 1 }));
  const a = containerRecord('a', 'pod');
  const ended = containerRecord('ended', 'pod', { state: 'exited' });
  chosenIntervals = { changing: 60_000, still: 60_000, unasked: 60_000 };
  setUp(usage, a, ended);
  scanner.start();
  await expect.poll(() => scanner.find(ended.id)?.usedBytes).toBe(1n);
  await scanner.catchUp();
  usedBytes = gib;
  availableBytes -= 1000;
  await scanner.catchUp();
  expect(scanner.find(a.id)?.usedBytes).toBe(1n);
  availableBytes -= gib;
  await scanner.catchUp();
  expect(scanner.find(a.id)?.usedBytes).toBe(BigInt(gib));
  expect(scanner.find(ended.id)?.usedBytes).toBe(1n);
  expect(usage).toHaveBeenCalledTimes(3);
});

it('does not wait for ever for a count', async () => {
  availableBytes = 2 ** 32;
  const a = containerRecord('a', 'pod');
  setUp(() => new Promise(() => {}), a);
  scanner.start();
  await scanner.catchUp();
  availableBytes = 0;
  await scanner.catchUp();
  expect(scanner.find(a.id)).toBeUndefined();
});
