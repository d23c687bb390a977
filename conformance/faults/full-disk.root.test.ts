/**
 * Full disks: one small file system for what must outlive a reboot, one for what must not. Whatever meets the end of the disk
 * says so, leaves everything as it was, and works again when there is room.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { formatFinding } from '#base/finding.ts';
import { CriError } from '../cri-client.ts';
import { FaultBed, imageName, otherImageName } from './bed.ts';
import { PodWalk } from './pod-walk.ts';
import { SmallDisk } from './small-disk.ts';

let bed: FaultBed;
let root: SmallDisk;
let state: SmallDisk;
let logs: SmallDisk;
/** A pod that ran before any disk was full. */
let witness: PodWalk;
let counter = 0;

const command = ['sh', '-c', 'trap "exit 3" TERM; : >/ready; while :; do usleep 20000; done'];

function newWalk(): PodWalk {
  counter += 1;
  return new PodWalk(bed, { name: `full${counter}`, tries: 1 });
}

beforeAll(async () => {
  bed = await FaultBed.prepare('cni', async (dir) => {
    root = await SmallDisk.mount(join(dir, 'lib'), 400 << 20, 3000);
    state = await SmallDisk.mount(join(dir, 'run'), 8 << 20, 500);
    logs = await SmallDisk.mount(join(dir, 'pods'), 8 << 20, 200);
  });
  await bed.start();
  await bed.call('PullImage', { image: { image: imageName } });
  witness = new PodWalk(bed, { name: 'witness' });
  await witness.run();
  await witness.start(command);
});

afterAll(() => bed.close());

beforeEach(async () => {
  root.makeRoom();
  state.makeRoom();
  logs.makeRoom();
  // What a failed test left must not fail the next.
  const { items } = await bed.call('ListPodSandbox', {});
  for (const { id, metadata } of items)
    if (metadata?.name !== 'witness') await bed.call('RemovePodSandbox', { pod_sandbox_id: id });
});

async function failureOf(work: Promise<unknown>): Promise<CriError> {
  try {
    await work;
  } catch (error) {
    // A walk wraps what it gave up for.
    const cause = error instanceof CriError ? error : (error as Error).cause;
    if (cause instanceof CriError) return cause;
    throw error;
  }
  throw new Error('it worked on a full disk');
}

async function expectAllAsBefore(): Promise<void> {
  const { containers } = await bed.call('ListContainers', {});
  const { items } = await bed.call('ListPodSandbox', {});
  expect([containers.length, items.length]).toEqual([1, 1]);
  expect((await bed.audit()).map(formatFinding)).toEqual([]);
  await witness.exec();
}

async function liveOn(walk: PodWalk): Promise<void> {
  await walk.run();
  await walk.start(command);
  await walk.exec('ready');
  await walk.stopContainer(10n);
  await walk.removeContainer();
  await walk.stop();
  await walk.remove();
  await expectAllAsBefore();
}

const fillings = [
  ['space of root_dir', () => root.fill(), () => root.path],
  ['inodes of root_dir', () => root.fillInodes(), () => root.path],
  ['space of state_dir', () => state.fill(), () => state.path],
  ['inodes of state_dir', () => state.fillInodes(), () => state.path],
] as const;

test.each(fillings)(
  'a container that finds no %s is refused, and made when there is',
  async (_what, fill, path) => {
    const walk = newWalk();
    await walk.run();
    await fill();
    const failure = await failureOf(walk.start(command));
    expect(failure.code).toBe('RESOURCE_EXHAUSTED');
    expect(failure.details).toMatch(/no space|quota/i);
    expect(failure.details).toContain(path());
    expect(failure.details).toContain('try again');
    const { containers } = await bed.call('ListContainers', {});
    expect(containers).toHaveLength(1);
    await witness.exec('now').catch((error) => expect(String(error)).toMatch(/RESOURCE_EXHAUSTED/));
    const { items } = await bed.call('ListPodSandbox', {});
    expect(items).toHaveLength(2);
    expect((await bed.audit()).map(formatFinding)).toEqual([]);
    root.makeRoom();
    state.makeRoom();
    await liveOn(walk);
  },
);

test.each(fillings)('a pod that finds no %s is refused, and run when there is', async (_what, fill, path) => {
  const walk = newWalk();
  await fill();
  const failure = await failureOf(walk.run());
  expect(failure.code).toBe('RESOURCE_EXHAUSTED');
  expect(failure.details).toContain(path());
  expect((await bed.audit()).map(formatFinding)).toEqual([]);
  root.makeRoom();
  state.makeRoom();
  await liveOn(walk);
});

test.each(fillings)('pods are stopped and removed without %s', async (_what, fill) => {
  const walk = newWalk();
  await walk.run();
  await walk.start(command);
  await walk.exec('ready');
  await fill();
  await walk.stopContainer(10n);
  await walk.removeContainer();
  await walk.stop();
  await walk.remove();
  await expectAllAsBefore();
});

test('a pull that finds no room says so, keeps nothing and works when there is', async () => {
  const image = { image: otherImageName };
  await bed.call('RemoveImage', { image });
  await root.fill();
  const failure = await failureOf(bed.call('PullImage', { image }));
  expect(failure.details).toMatch(/free some space|no space left on device/i);
  const { images } = await bed.call('ListImages', {});
  expect(images).toHaveLength(1);
  root.makeRoom();
  await bed.call('PullImage', { image });
  await bed.call('RemoveImage', { image });
  await bed.call('ImageFsInfo', {});
  expect((await bed.audit()).map(formatFinding)).toEqual([]);
});

test('a container that finds no inode for its log is refused, and made when there is one', async () => {
  const walk = newWalk();
  await walk.run();
  logs.fillInodes();
  const failure = await failureOf(walk.start(command));
  expect(failure.code).toBe('RESOURCE_EXHAUSTED');
  expect(failure.details).toContain('try again');
  expect((await bed.audit()).map(formatFinding)).toEqual([]);
  logs.makeRoom();
  await liveOn(walk);
});

test('a container runs on while there is no room for its log, is told how it ended, and is logged again', async () => {
  const walk = newWalk();
  await walk.run();
  await walk.start(['sh', '-c', 'trap "exit 3" TERM; while :; do echo line; usleep 20000; : >/ready; done']);
  // Full only when there is a log: a start is over before the first line is written.
  await expect.poll(() => statSync(join(walk.logDirectory, 'main-0.log')).size).toBeGreaterThan(0);
  await logs.fill();
  await walk.exec('ready');
  logs.makeRoom();
  const size = statSync(join(walk.logDirectory, 'main-0.log')).size;
  await expect
    .poll(() => statSync(join(walk.logDirectory, 'main-0.log')).size, { timeout: 5000 })
    .toBeGreaterThan(size);
  await walk.stopContainer(10n);
  expect(await walk.status()).toMatchObject({ exitCode: 3 });
  await walk.remove();
  await expectAllAsBefore();
});

test('the daemon starts on a full disk, and goes on with its pods', async () => {
  await root.fill();
  await bed.kill();
  await bed.start();
  await expectAllAsBefore();
});
