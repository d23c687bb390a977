/** Containers that do what harms others: they must neither keep the daemon busy, nor stop others, nor outlive their stop. */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { detectCgroupLayout, groupDirectory, listGroupProcesses } from '#host/cgroup.ts';
import { performMount, unmountAll } from '#host/mount.ts';
import { ContainerState } from '#proto/generated/cri.ts';
import { BehaviourBed, type Pod, until } from './bed.ts';

const { version } = detectCgroupLayout();
const pidsLimit = 60;
let bed: BehaviourBed;
let pod: Pod;

beforeAll(async () => {
  bed = await BehaviourBed.start({ config: () => ({ runtime: { pids_limit: pidsLimit } }) });
  pod = await bed.runPod();
});
afterAll(() => bed.close());

/** What any other pod needs, within a time that a kubelet would not notice. */
async function othersAreServed(): Promise<void> {
  const startMs = performance.now();
  await Promise.all([
    bed.call('ListContainers', {}),
    bed.call('ListPodSandbox', {}),
    bed.call('ListContainerStats', {}),
    bed.call('ListPodSandboxStats', {}),
    bed.call('ListPodSandboxMetrics', {}),
    bed.call('Status', {}),
  ]);
  const other = await bed.runPod();
  const id = await bed.run(other, 'other');
  expect(await bed.sh(id, 'echo served')).toBe('served\n');
  await bed.call('StopContainer', { container_id: id, timeout: 10n });
  await bed.removePod(other);
  expect(performance.now() - startMs).toBeLessThan(15_000);
}

async function cgroupOf(id: string): Promise<string> {
  return (await bed.info(id)).runtimeSpec.linux.cgroupsPath;
}

test('a fork bomb under a limit of processes starves no other, and ends with all its processes', async () => {
  const bomb = 'bomb() { bomb | bomb & }; while :; do bomb 2>/dev/null; sleep 0.02; done';
  const id = await bed.run(pod, 'bomb', { command: ['sh', '-c', bomb] });
  const group = await cgroupOf(id);
  const refused = () => {
    const text = readFileSync(join(groupDirectory(version, 'pids', group), 'pids.events'), 'utf8');
    return Number(/^max (\d+)/m.exec(text)?.[1] ?? 0) > 0;
  };
  await until(() => refused() || undefined, 20_000, 'the limit of processes');
  await othersAreServed();
  expect(listGroupProcesses(version, group).length).toBeLessThanOrEqual(pidsLimit);
  await bed.call('StopContainer', { container_id: id, timeout: 1n });
  expect((await bed.status(id)).state).toBe(ContainerState.CONTAINER_EXITED);
  await bed.call('RemoveContainer', { container_id: id });
  expect(existsSync(groupDirectory(version, 'pids', group))).toBe(false);
});

test('only an end for lack of memory is called one', async () => {
  const limits = { linux: { resources: { memory_limit_in_bytes: BigInt(24 << 20) } } };
  const [failing, content] = await Promise.all([
    bed.run(pod, 'failing', { command: ['sh', '-c', 'exit 137'], ...limits }),
    // A child falls to it, and its parent makes do without.
    bed.run(pod, 'content', { command: ['sh', '-c', 'tail /dev/zero; exit 0'], ...limits }),
  ]);
  expect(await bed.ended(failing)).toMatchObject({ exit_code: 137, reason: 'Error' });
  expect(await bed.ended(content, 30_000)).toMatchObject({ exit_code: 0, reason: 'Completed' });
});

test('a frozen container is stopped all the same', async () => {
  const id = await bed.run(pod, 'frozen', { command: ['sleep', '1000'] });
  freeze(await cgroupOf(id), true);
  await othersAreServed();
  const startMs = performance.now();
  await bed.call('StopContainer', { container_id: id, timeout: 1n });
  expect(performance.now() - startMs).toBeLessThan(10_000);
  expect(await bed.status(id)).toMatchObject({ state: ContainerState.CONTAINER_EXITED, exit_code: 137 });
});

// On v2 a frozen process dies of SIGKILL, so nothing sleeps that deep there.
test.skipIf(version === 2)(
  'a container that cannot die holds up its own stop only, and not past its deadline',
  async () => {
    const parent = `${bed.cgroupParent}/undying`;
    const deep = await bed.runPod({ linux: { cgroup_parent: parent } });
    const id = await bed.run(deep, 'undying', { command: ['sleep', '1000'] });
    const above = dirname(await cgroupOf(id));
    freeze(above, true);
    try {
      const stop = (deadlineMs: number) =>
        bed.call('StopContainer', { container_id: id, timeout: 0n }, deadlineMs);
      await expect(stop(1500)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
      await othersAreServed();
      await expect(bed.call('StopPodSandbox', { pod_sandbox_id: deep.id }, 1500)).rejects.toMatchObject({
        code: 'DEADLINE_EXCEEDED',
      });
      await othersAreServed();
      expect((await bed.status(id)).state).toBe(ContainerState.CONTAINER_RUNNING);
      freeze(above, false);
      await stop(20_000);
      expect(await bed.status(id)).toMatchObject({ exit_code: 137 });
    } finally {
      freeze(above, false);
    }
    await bed.removePod(deep);
  },
);

function freeze(group: string, isOn: boolean): void {
  if (version === 2) writeFileSync(join(groupDirectory(2, '', group), 'cgroup.freeze'), isOn ? '1' : '0');
  else writeFileSync(join(groupDirectory(1, 'freezer', group), 'freezer.state'), isOn ? 'FROZEN' : 'THAWED');
}

test.skipIf(!existsSync('/dev/fuse'))(
  'a volume on a file system that does not answer holds up its own container only',
  async () => {
    const dead = join(bed.dir, 'dead');
    mkdirSync(dead);
    // As that of a server which is gone: this process has to answer what is asked of it, and does not.
    const fd = openSync('/dev/fuse', 'r+');
    const data = `fd=${fd},rootmode=40000,user_id=0,group_id=0`;
    performMount({ type: 'fuse', source: 'dead', flags: 0, data }, dead);
    try {
      const create = () =>
        bed.create(pod, 'waiting', {
          mounts: [{ host_path: join(dead, 'volume'), container_path: '/volume' }],
        });
      const waiting = create();
      waiting.catch(() => {});
      await othersAreServed();
      unmountAll(dead);
      closeSync(fd);
      // Whoever was patient has a container: the folder can be made where the file system was.
      await bed.call('RemoveContainer', { container_id: await waiting });
    } finally {
      unmountAll(dead);
    }
  },
);
