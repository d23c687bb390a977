/** Pauses that a daemon did not live to see, or did not make: what is said of a container is what the kernel does with it. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from '#conformance/command.ts';
import { FaultBed, failingHandler, imageName } from '#conformance/faults/bed.ts';
import { PodWalk } from '#conformance/faults/pod-walk.ts';
import { listProcessesOf } from '#host/proc.ts';

let bed: FaultBed;
let walk: PodWalk;

beforeAll(async () => {
  bed = await FaultBed.prepare('native');
  await bed.start();
  await bed.call('PullImage', { image: { image: imageName } });
  walk = new PodWalk(bed, { name: 'paused', isManaged: true, handler: failingHandler });
  await walk.run();
  await walk.start(['sh', '-c', 'while :; do date +%N >/beat; usleep 10000; done']);
}, 60_000);
afterAll(() => bed.close());

async function isSaidToBePaused(): Promise<boolean> {
  const [details] = await bed.admin('ListContainerDetails', {});
  const { containers } = details as { containers: { id: string; paused: boolean }[] };
  return containers.find(({ id }) => id === walk.containerId)!.paused;
}

async function expectToGoOn(): Promise<void> {
  const script = 'was=$(cat /beat); while test "$(cat /beat)" = "$was"; do usleep 10000; done; echo goes on';
  await walk.hear(script, 'goes on\n');
}

const pausing = () =>
  listProcessesOf(() => true).filter(
    ({ command }) => command.includes('pause') && command.includes(walk.containerId),
  );

async function until(isTrue: () => boolean, what: string): Promise<void> {
  for (const end = performance.now() + 10_000; !isTrue(); await delay(10))
    if (performance.now() > end) throw new Error(`${what}: not within 10 s`);
}

test('an OCI runtime that is at work on a pause when the daemon dies does not stop the container later', async () => {
  writeFileSync(bed.programFaultFile, 'crun pause hang\n');
  const hanging = `${bed.programFaultFile}.hanging`;
  const paused = expect(bed.admin('PauseContainer', { container_id: walk.containerId })).rejects.toThrow();
  await until(() => existsSync(hanging), 'the hang');
  await bed.kill();
  await paused;
  expect(pausing()).toHaveLength(1);
  await bed.start();
  expect(pausing()).toEqual([]);
  rmSync(hanging);
  expect(await isSaidToBePaused()).toBe(false);
  await expectToGoOn();
}, 30_000);

test('a container that somebody else paused is shown so after a start, and can be let go on', async () => {
  await bed.stop();
  const root = join(bed.config.daemon.stateDir, 'oci', failingHandler);
  await runCommand('crun', ['--root', root, 'pause', walk.containerId]);
  await bed.start();
  expect(await isSaidToBePaused()).toBe(true);
  await bed.admin('UnpauseContainer', { container_id: walk.containerId });
  expect(await isSaidToBePaused()).toBe(false);
  await expectToGoOn();
}, 30_000);
