/** The wall clock is set forward and back, by hours, under a daemon at work and between two: nothing is negative, late or early. */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatFinding } from '#base/finding.ts';
import { FaultBed, imageName } from './bed.ts';
import { PodWalk } from './pod-walk.ts';

const hourMs = 3_600_000;
const deaf = ['sh', '-c', 'trap "" TERM; : >/ready; while :; do usleep 20000; done'];
let bed: FaultBed;
let counter = 0;
/** Ids of containers in the order of their making. */
const made: string[] = [];
const walks: PodWalk[] = [];

beforeAll(async () => {
  bed = await FaultBed.prepare();
  bed.hasOwnClock = true;
  await bed.start();
  await bed.call('PullImage', { image: { image: imageName } });
});
afterAll(() => bed.close());

function setClock(offsetMs: number): void {
  writeFileSync(bed.clockFile, String(offsetMs));
}

async function newPod(): Promise<PodWalk> {
  counter += 1;
  const walk = new PodWalk(bed, { name: `clock${counter}`, tries: 1 });
  await walk.run();
  await walk.start(deaf);
  made.push(walk.containerId);
  walks.push(walk);
  return walk;
}

async function statusOf(id: string) {
  return (await bed.call('ContainerStatus', { container_id: id })).status!;
}

/** The times of every container in their order, and no figure below zero. */
async function expectSaneTimes(): Promise<void> {
  for (const id of made) {
    const status = await statusOf(id);
    expect(status.started_at).toBeGreaterThanOrEqual(status.created_at);
    if (status.finished_at > 0n) expect(status.finished_at).toBeGreaterThan(status.started_at);
  }
  const { stats } = await bed.call('ListContainerStats', {});
  for (const { cpu, memory } of stats) {
    expect(cpu?.usage_core_nano_seconds?.value ?? 0n).toBeGreaterThanOrEqual(0n);
    expect(cpu?.usage_nano_cores?.value ?? 0n).toBeGreaterThanOrEqual(0n);
    expect(cpu?.usage_nano_cores?.value ?? 0n).toBeLessThan(1_000_000_000_000n);
    expect(memory?.timestamp ?? 1n).toBeGreaterThan(0n);
  }
}

/** Grace periods and the time of a command are as long as asked, whatever the wall clock does meanwhile. */
async function expectTrueDurations(walk: PodWalk, jumpMs: number): Promise<void> {
  const exec = bed.call('ExecSync', { container_id: walk.containerId, cmd: ['sleep', '100'], timeout: 2n });
  const startMs = performance.now();
  const stop = walk.stopContainer(3n);
  setClock(jumpMs);
  await expect(exec).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  expect(performance.now() - startMs).toBeGreaterThan(1500);
  await stop;
  expect(performance.now() - startMs).toBeGreaterThan(2900);
  expect(performance.now() - startMs).toBeLessThan(20_000);
  expect(await walk.status()).toMatchObject({ exitCode: 137 });
}

test.each([
  ['forward', 2 * hourMs],
  ['back', -3 * hourMs],
  ['back to the true time', 0],
] as const)('a clock that is set %s while the daemon runs', async (_where, offsetMs) => {
  const walk = await newPod();
  await walk.exec('ready');
  await bed.call('ListContainerStats', {});
  await expectTrueDurations(walk, offsetMs);
  await newPod();
  await expectSaneTimes();
  // Within one daemon later is later.
  const times = await Promise.all(made.map(async (id) => (await statusOf(id)).created_at));
  expect(times).toEqual(times.toSorted((a, b) => Number(a - b)));
});

test.each([
  ['forward', 2 * hourMs],
  ['back', -3 * hourMs],
] as const)('a clock that is set %s while no daemon is there', async (_where, offsetMs) => {
  const before = await newPod();
  await before.exec('ready');
  await bed.kill();
  setClock(offsetMs);
  await bed.start();
  expect((await before.status()).state).toBe(1);
  await before.stopContainer(0n);
  await newPod();
  await expectSaneTimes();
  setClock(0);
});

test('everything can be removed, and nothing is left', async () => {
  for (const walk of walks) {
    await walk.stop();
    await walk.remove();
  }
  expect((await bed.audit()).map(formatFinding)).toEqual([]);
});
