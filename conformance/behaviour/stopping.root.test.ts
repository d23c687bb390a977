/** StopContainer: signals, grace, deadlines that meet, clients that leave, containers in every state. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listProcessesOf } from '#host/proc.ts';
import { ContainerState, NamespaceMode, Signal } from '#proto/generated/cri.ts';
import { BehaviourBed, type Pod, until } from './bed.ts';
import { imageNames } from './images.ts';

let bed: BehaviourBed;
let pod: Pod;

beforeAll(async () => {
  bed = await BehaviourBed.start({ images: [imageNames.busybox, imageNames.stopSignal] });
  pod = await bed.runPod();
});
afterAll(() => bed.close());

const stop = (id: string, seconds: number, timeoutMs?: number, signal?: AbortSignal) =>
  bed.call('StopContainer', { container_id: id, timeout: BigInt(seconds) }, timeoutMs, signal);

/** PID 1 gets no signal that it has no handler for, so this one only ends by KILL. */
const deaf = { command: ['sleep', '1000'] };
const onSignal = (signal: string | number, code: number) => ({
  command: ['sh', '-c', `trap "exit ${code}" ${signal}; echo ready; while :; do sleep 0.05; done`],
});

/** Runs one of `onSignal` and waits until its handler stands. */
async function runReady(name: string, more: Parameters<typeof bed.run>[2]): Promise<string> {
  const id = await bed.run(pod, name, more);
  await until(
    async () => (bed.logText(pod, name).includes('ready') ? true : undefined),
    5000,
    `the handler of ${name}`,
  );
  return id;
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return (performance.now() - startedMs) / 1000;
}

test.concurrent('the stop signal comes first and its code counts', async () => {
  const id = await runReady('polite', onSignal('TERM', 7));
  expect(await secondsOf(() => stop(id, 20))).toBeLessThan(5);
  expect(await bed.status(id)).toMatchObject({
    state: ContainerState.CONTAINER_EXITED,
    exit_code: 7,
    reason: 'Error',
  });
});

test.concurrent('KILL comes when the grace period is over, at once when there is none', async () => {
  const [patient, hasty] = await Promise.all([bed.run(pod, 'patient', deaf), bed.run(pod, 'hasty', deaf)]);
  const [grace, none] = await Promise.all([
    secondsOf(() => stop(patient, 2)),
    secondsOf(() => stop(hasty, 0)),
  ]);
  expect(grace).toBeGreaterThan(1.95);
  expect(grace).toBeLessThan(5);
  expect(none).toBeLessThan(1.9);
  for (const id of [patient, hasty])
    expect(await bed.status(id)).toMatchObject({ exit_code: 137, reason: 'Error' });
});

test.concurrent('of two deadlines the nearer one wins, and the signal is sent once', async () => {
  const id = await runReady('counted', {
    command: ['sh', '-c', 'trap "echo term" TERM; echo ready; while :; do sleep 0.05; done'],
  });
  const first = stop(id, 600);
  await until(() => (bed.logText(pod, 'counted').includes('term') ? true : undefined), 5000, 'the signal');
  const later = stop(id, 1000);
  expect(await secondsOf(() => Promise.all([first, later, stop(id, 1)]))).toBeLessThan(5);
  expect(bed.logText(pod, 'counted').match(/term/g)).toHaveLength(1);
  expect((await bed.status(id)).exit_code).toBe(137);
});

test.concurrent('a client that goes away changes nothing', async () => {
  const id = await bed.run(pod, 'left-alone', deaf);
  const cancel = new AbortController();
  const call = stop(id, 1, 30_000, cancel.signal);
  await delay(100);
  cancel.abort();
  await expect(call).rejects.toMatchObject({ code: 'CANCELLED' });
  expect((await bed.status(id)).state).toBe(ContainerState.CONTAINER_RUNNING);
  expect((await bed.ended(id)).exit_code).toBe(137);
});

test.concurrent('a stop of what does not run succeeds', async () => {
  const created = await bed.create(pod, 'only-created');
  await stop(created, 1);
  expect((await bed.status(created)).state).toBe(ContainerState.CONTAINER_CREATED);
  const over = await bed.run(pod, 'over', { command: ['true'] });
  await bed.ended(over);
  await stop(over, 1);
  await stop('f'.repeat(64), 1);
  await stop('0123', 1);
  await bed.call('RemoveContainer', { container_id: created });
});

test.concurrent('the signal of the image is sent, and that of the request before it', async () => {
  const image = { image: { image: imageNames.stopSignal } };
  const [byImage, byRequest, realtime] = await Promise.all([
    runReady('by-image', { ...image, ...onSignal(37, 3) }),
    runReady('by-request', { ...image, ...onSignal('USR1', 4), stop_signal: Signal.SIGNAL_SIGUSR1 }),
    runReady('realtime', { ...onSignal(37, 5), stop_signal: Signal.SIGNAL_SIGRTMINPLUS3 }),
  ]);
  await Promise.all([byImage, byRequest, realtime].map((id) => stop(id, 20)));
  expect(await bed.status(byImage)).toMatchObject({ exit_code: 3, stop_signal: Signal.SIGNAL_SIGRTMINPLUS3 });
  expect(await bed.status(byRequest)).toMatchObject({ exit_code: 4, stop_signal: Signal.SIGNAL_SIGUSR1 });
  expect(await bed.status(realtime)).toMatchObject({
    exit_code: 5,
    stop_signal: Signal.SIGNAL_SIGRTMINPLUS3,
  });
});

test.concurrent('a container in a shared PID namespace leaves no process behind, whether it is stopped or ends', async () => {
  const shared = await bed.runPod({
    linux: {
      security_context: { namespace_options: { pid: NamespaceMode.POD } },
      cgroup_parent: bed.cgroupParent,
    },
  });
  const mark = `10${process.pid}`;
  const script = (rest: string) => `setsid sleep ${mark} & (setsid sleep ${mark} &) ; ${rest}`;
  const left = () => listProcessesOf((path) => path === 'sleep').filter(({ command }) => command[1] === mark);
  const stopped = await bed.run(shared, 'stopped', { command: ['sh', '-c', script('wait')] });
  await until(() => (left().length >= 2 ? true : undefined), 5000, 'the children');
  await stop(stopped, 0);
  await until(() => (left().length === 0 ? true : undefined), 3000, 'the end of the children');
  const ended = await bed.run(shared, 'ended', { command: ['sh', '-c', script('sleep 0.2')] });
  await bed.ended(ended);
  await until(() => (left().length === 0 ? true : undefined), 3000, 'the end of the children');
  await bed.removePod(shared);
});

test.concurrent('a monitor that hangs keeps nobody waiting for long, and the code is known all the same', async () => {
  const id = await bed.run(pod, 'hung', deaf);
  const monitor = readFileSync(join(bed.dir, 'run', 'bundles', id, 'conmon.pid'), 'utf8');
  process.kill(Number(monitor), 'SIGSTOP');
  await stop(id, 0);
  expect(await bed.status(id)).toMatchObject({ exit_code: 137, reason: 'Error' });
  await bed.call('RemoveContainer', { container_id: id });
});

test('a stop that meets an exit nobody has looked at yet returns', async () => {
  const id = await bed.run(pod, 'met', deaf);
  const { pid } = await bed.info(id);
  process.kill(bed.pid, 'SIGSTOP');
  const call = stop(id, 5, 5000);
  await delay(50); // the request is in the daemon's socket before the exit file is made
  process.kill(pid, 'SIGKILL');
  await until(
    () => (existsSync(join(bed.dir, 'run', 'exits', id)) ? true : undefined),
    5000,
    'the exit file',
  );
  process.kill(bed.pid, 'SIGCONT');
  await call;
  expect((await bed.status(id)).exit_code).toBe(137);
});

test('a container whose record was damaged can be stopped and removed', async () => {
  const ids = [await bed.run(pod, 'damaged', deaf), await bed.create(pod, 'gone')];
  await bed.endDaemon('SIGTERM');
  const database = new DatabaseSync(join(bed.dir, 'lib', 'state.db'));
  for (const id of ids) database.prepare('UPDATE containers SET record = ? WHERE id = ?').run('{"id":', id);
  database.close();
  await bed.startDaemon();
  for (const id of ids) {
    expect((await bed.status(id)).state).toBe(ContainerState.CONTAINER_UNKNOWN);
    await stop(id, 0, 8000);
    await bed.call('RemoveContainer', { container_id: id }, 8000);
  }
  expect((await bed.call('ListContainers', { filter: { id: ids[0]! } })).containers).toEqual([]);
});
