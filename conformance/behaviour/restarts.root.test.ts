/** Monitors and daemons that are killed: containers go on, and their ends are known. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listProcessesOf } from '#host/proc.ts';
import { ContainerState, NamespaceMode } from '#proto/generated/cri.ts';
import { BehaviourBed, type Pod, until } from './bed.ts';

let bed: BehaviourBed;
let pod: Pod;

beforeAll(async () => {
  bed = await BehaviourBed.start();
  pod = await bed.runPod();
});
afterAll(() => bed.close());

const shell = (script: string) => ({ command: ['sh', '-c', script] });
const loop = 'while :; do sleep 0.05; done';
const monitorOf = (id: string) =>
  Number(readFileSync(join(bed.dir, 'run', 'bundles', id, 'conmon.pid'), 'utf8'));
const isGone = (pid: number) =>
  until(() => (existsSync(`/proc/${pid}`) ? undefined : true), 3000, `the end of ${pid}`);
const stop = (id: string, seconds = 10) =>
  bed.call('StopContainer', { container_id: id, timeout: BigInt(seconds) });
const reopen = (id: string) => bed.call('ReopenContainerLog', { container_id: id }, 3000);
const logged = (name: string, words: string) =>
  until(
    () => (bed.logText(pod, name).includes(words) ? true : undefined),
    5000,
    `${words} in the log of ${name}`,
  );

async function restart(meanwhile: () => Promise<void> | void = () => {}): Promise<void> {
  await bed.endDaemon('SIGKILL');
  await meanwhile();
  await bed.startDaemon();
}

test.concurrent('the end of a container whose monitor was killed is known', async () => {
  const id = await bed.run(pod, 'orphan', shell(`trap "exit 9" TERM; ${loop}`));
  process.kill(monitorOf(id), 'SIGKILL');
  await isGone(monitorOf(id));
  expect((await bed.status(id)).state).toBe(ContainerState.CONTAINER_RUNNING);
  expect(await bed.sh(id, 'echo alive')).toBe('alive\n');
  // Its log has ended, and nobody is left who could open it again.
  await expect(reopen(id)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  await stop(id);
  expect(await bed.status(id)).toMatchObject({ exit_code: 9, reason: 'Error' });
});

test.concurrent('a monitor that dies while it is asked for a new log keeps nobody waiting', async () => {
  const id = await bed.run(pod, 'asked', shell(loop));
  process.kill(monitorOf(id), 'SIGSTOP');
  const asked = reopen(id);
  asked.catch(() => {});
  await delay(100); // the request is in the monitor's pipe
  process.kill(monitorOf(id), 'SIGKILL');
  await expect(asked).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
});

test.concurrent('so is that of one which dies in the same moment as its monitor', async () => {
  const id = await bed.run(pod, 'both', shell(loop));
  const { pid } = await bed.info(id);
  process.kill(bed.pid, 'SIGSTOP');
  process.kill(monitorOf(id), 'SIGKILL');
  process.kill(pid, 'SIGKILL');
  process.kill(bed.pid, 'SIGCONT');
  expect(await bed.ended(id)).toMatchObject({ exit_code: 137, reason: 'Error' });
});

test('pods outlive a daemon that is killed, and what happens meanwhile is known', async () => {
  const shared = await bed.runPod({
    linux: {
      cgroup_parent: bed.cgroupParent,
      security_context: { namespace_options: { pid: NamespaceMode.POD } },
    },
  });
  const counting =
    'i=0; while [ $i -lt 100000 ]; do echo $i; i=$((i+1)); [ $((i%20)) = 0 ] && sleep 0.02; done';
  const counter = await bed.run(pod, 'counter', {
    ...shell(`trap "exit 4" TERM; ${counting}`),
    labels: { x: 'y' },
  });
  const [ending, created, member, killed] = await Promise.all([
    bed.run(pod, 'ending', shell(`trap "exit 5" TERM; echo ready; ${loop}`)),
    bed.create(pod, 'created'),
    bed.run(shared, 'member'),
    bed.run(pod, 'killed', shell(loop)),
  ]);
  await bed.call('UpdateContainerResources', { container_id: counter, linux: { cpu_shares: 300n } });
  await logged('ending', 'ready');
  const [before, { pid }, { status: podBefore }] = await Promise.all([
    bed.status(counter),
    bed.info(counter),
    bed.call('PodSandboxStatus', { pod_sandbox_id: pod.id }),
  ]);
  const pids = await Promise.all([ending, killed].map(async (id) => (await bed.info(id)).pid));
  let endedAt = 0n;
  await restart(async () => {
    process.kill(pids[0]!, 'SIGTERM');
    process.kill(pids[1]!, 'SIGKILL');
    await Promise.all(pids.map(isGone));
    endedAt = BigInt(Date.now()) * 1_000_000n;
  });
  const after = await bed.status(counter);
  expect(after).toEqual(before);
  expect((await bed.info(counter)).pid).toBe(pid);
  expect((await bed.call('PodSandboxStatus', { pod_sandbox_id: pod.id })).status).toEqual(podBefore);
  expect(await bed.sh(counter, 'echo alive')).toBe('alive\n');
  expect(await bed.sh(member, 'echo alive')).toBe('alive\n');
  const ends = await Promise.all([ending, killed].map((id) => bed.ended(id)));
  expect(ends.map(({ exit_code: code }) => code)).toEqual([5, 137]);
  for (const { finished_at: finishedAt } of ends) expect(finishedAt).toBeLessThanOrEqual(endedAt);
  expect((await bed.status(created)).state).toBe(ContainerState.CONTAINER_CREATED);
  await bed.call('StartContainer', { container_id: created });
  await stop(counter);
  expect((await bed.status(counter)).exit_code).toBe(4);
  const lines = bed.logText(pod, 'counter').trim().split('\n');
  expect(lines.map((line) => line.split(' ')[3])).toEqual(lines.map((_, index) => String(index)));
  await bed.removePod(shared);
});

test('a container that lost its monitor while no daemon was there is taken up, and its end is seen', async () => {
  const [running, over] = await Promise.all([
    bed.run(pod, 'unwatched', shell(`trap "exit 6" TERM; echo ready; ${loop}`)),
    bed.run(pod, 'unseen', shell(loop)),
  ]);
  await logged('unwatched', 'ready');
  const { pid } = await bed.info(over);
  await restart(async () => {
    for (const id of [running, over]) process.kill(monitorOf(id), 'SIGKILL');
    process.kill(pid, 'SIGKILL');
    await isGone(pid);
  });
  expect(await bed.sh(running, 'echo alive')).toBe('alive\n');
  // Nobody is left who knows how it ended.
  expect(await bed.ended(over)).toMatchObject({ exit_code: 255, reason: 'Unknown' });
  await stop(running);
  const { exit_code: code } = await bed.status(running);
  // Only Linux 6.15 and newer tell of the end of a process that is nobody's child here.
  expect([6, 255]).toContain(code);
});

test('commands do not outlive the daemon that ran them', async () => {
  const node = await bed.runPod({
    linux: {
      cgroup_parent: bed.cgroupParent,
      security_context: { namespace_options: { pid: NamespaceMode.NODE } },
    },
  });
  const homes = [await bed.run(pod, 'commands', shell(loop)), await bed.run(node, 'commands', shell(loop))];
  const seconds = `4321.${process.pid}`;
  const count = () =>
    listProcessesOf((path) => path === 'sleep').filter(({ command }) => command[1] === seconds).length;
  for (const id of homes)
    bed.exec(id, ['sh', '-c', `(setsid sleep ${seconds} &); sleep ${seconds}`], 0).catch(() => {});
  await until(() => (count() === 4 ? true : undefined), 5000, 'the commands');
  await restart();
  await until(() => (count() === 0 ? true : undefined), 3000, 'the end of the commands');
  for (const id of homes) expect(await bed.sh(id, 'echo alive')).toBe('alive\n');
});
