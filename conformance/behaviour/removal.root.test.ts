/** StopPodSandbox and RemovePodSandbox: whatever runs, however often, whoever comes in between. */
import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ContainerState, NamespaceMode, PodSandboxState } from '#proto/generated/cri.ts';
import { BehaviourBed, until } from './bed.ts';

let bed: BehaviourBed;

beforeAll(async () => {
  bed = await BehaviourBed.start();
});
afterAll(() => bed.close());

const deaf = { command: ['sleep', '1000'] };

test('a stop ends the containers and keeps them; a second one changes nothing', async () => {
  const pod = await bed.runPod();
  const running = await bed.run(pod, 'running', deaf);
  const created = await bed.create(pod, 'created');
  const over = await bed.run(pod, 'over', { command: ['sh', '-c', 'exit 6'] });
  await bed.ended(over);
  const stop = () => bed.call('StopPodSandbox', { pod_sandbox_id: pod.id });
  await Promise.all([stop(), stop()]);
  await stop();
  const { status } = await bed.call('PodSandboxStatus', { pod_sandbox_id: pod.id });
  expect(status?.state).toBe(PodSandboxState.SANDBOX_NOTREADY);
  expect(await bed.status(running)).toMatchObject({ state: ContainerState.CONTAINER_EXITED, exit_code: 137 });
  expect((await bed.status(created)).state).toBe(ContainerState.CONTAINER_EXITED);
  expect((await bed.status(over)).exit_code).toBe(6);
  for (const refused of [
    bed.create(pod, 'late'),
    bed.call('StartContainer', { container_id: created }),
    bed.exec(running, ['true']),
  ])
    await expect(refused).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  await bed.removePod(pod);
});

test('a remove takes everything that runs; one of what is not there succeeds', async () => {
  const pod = await bed.runPod();
  const ids = await Promise.all([bed.run(pod, 'a', deaf), bed.run(pod, 'b', deaf), bed.create(pod, 'c')]);
  await Promise.all([bed.removePod(pod), bed.removePod(pod)]);
  await bed.removePod(pod);
  await bed.call('StopPodSandbox', { pod_sandbox_id: pod.id });
  await bed.call('RemovePodSandbox', { pod_sandbox_id: 'f'.repeat(64) });
  await expect(bed.call('PodSandboxStatus', { pod_sandbox_id: pod.id })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
  for (const id of ids) {
    await expect(bed.status(id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await bed.call('RemoveContainer', { container_id: id });
  }
  // The name is free again, also for the same attempt.
  const { pod_sandbox_id: again } = await bed.call('RunPodSandbox', { config: pod.config });
  await bed.call('RemovePodSandbox', { pod_sandbox_id: again });
});

test('a running container is removed at once, by several clients', async () => {
  const pod = await bed.runPod();
  const id = await bed.run(pod, 'running', deaf);
  const remove = () => bed.call('RemoveContainer', { container_id: id });
  await Promise.all([remove(), remove(), remove()]);
  await expect(bed.status(id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await bed.run(pod, 'running', deaf);
  await bed.removePod(pod);
});

test('creations and starts that race with the removal of their pod lose, and nothing stays', async () => {
  for (const afterMs of [0, 2, 5, 10, 20, 40, 60]) {
    const pod = await bed.runPod();
    const started = await bed.create(pod, 'started');
    const racers = [
      ...['x', 'y', 'z'].map((name) => bed.create(pod, name)),
      bed.call('StartContainer', { container_id: started }),
    ].map((call) =>
      call.then(
        () => 'won',
        (error) => error.code,
      ),
    );
    await delay(afterMs);
    await bed.removePod(pod);
    for (const outcome of await Promise.all(racers))
      expect(['won', 'NOT_FOUND', 'FAILED_PRECONDITION', 'INTERNAL']).toContain(outcome);
    expect((await bed.call('ListContainers', {})).containers).toEqual([]);
  }
  expect(await bed.leftovers()).toEqual([]);
});

test('sandboxes that are canceled at any point leave nothing, or the whole sandbox', async () => {
  const canceled = async (afterMs: number, pid: number) => {
    const linux = { cgroup_parent: bed.cgroupParent, security_context: { namespace_options: { pid } } };
    const cancel = new AbortController();
    const call = bed.call('RunPodSandbox', { config: bed.podConfig({ linux }) }, 30_000, cancel.signal);
    await Promise.race([delay(afterMs), call.catch(() => {})]);
    cancel.abort();
    const outcome = await call.then(
      () => 'ready',
      (error) => error.code,
    );
    expect(['ready', 'CANCELLED']).toContain(outcome);
  };
  for (let afterMs = 0; afterMs < 160; afterMs += 10)
    await canceled(afterMs, (afterMs / 10) % 2 === 0 ? NamespaceMode.POD : NamespaceMode.CONTAINER);
  // Nobody waits for the undoing.
  await until(
    async () => ((await bed.leftovers()).length === 0 ? true : undefined),
    10_000,
    'nothing being left',
  );
});

test('pods come and go without a trace in the daemon', async () => {
  const cycle = async (seconds: string) => {
    const pod = await bed.runPod();
    const id = await bed.run(pod, 'main', deaf);
    await bed.sh(id, 'true');
    await bed.exec(id, ['sleep', seconds], 1).catch(() => {});
    await bed.create(pod, 'bad', { command: ['/no/such/program'] }).catch(() => {});
    await bed.removePod(pod);
  };
  const descriptors = () => readdirSync(`/proc/${bed.pid}/fd`).length;
  await Promise.all([cycle('0'), cycle('0')]);
  const before = descriptors();
  await Promise.all(['0', '10', '0', '10'].map(cycle));
  expect(descriptors()).toBeLessThanOrEqual(before + 2);
});

test('a stop whose client leaves is taken up by the next one', async () => {
  const pod = await bed.runPod();
  await bed.run(pod, 'running', deaf);
  const cancel = new AbortController();
  const call = bed.call('StopPodSandbox', { pod_sandbox_id: pod.id }, 30_000, cancel.signal);
  call.catch(() => {});
  await delay(5);
  cancel.abort();
  await bed.removePod(pod);
  expect(await bed.leftovers()).toEqual([]);
});
