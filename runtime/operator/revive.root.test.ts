/** Reviving a container while steps fail or the daemon dies in them: it is exited or startable, and loses nothing it wrote. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StepName } from '#base/step.ts';
import { Connection } from '#cli/connection.ts';
import { BehaviourBed, type Pod, until } from '#conformance/behaviour/bed.ts';
import { projectRoot } from '#conformance/cache.ts';
import { ContainerState, PodSandboxState } from '#proto/generated/cri.ts';

const faultFile = join(tmpdir(), `berth-revive-faults-${process.pid}`);
const labels = { 'dev.berth/managed-by': 'test', 'dev.berth/on-exit': 'stop' };

let bed: BehaviourBed;

beforeAll(async () => {
  process.env.NODE_OPTIONS = `--import ${join(projectRoot, 'conformance/faults/preload.ts')}`;
  process.env.BERTH_FAULT_FILE = faultFile;
  bed = await BehaviourBed.start();
});
afterAll(async () => {
  delete process.env.NODE_OPTIONS;
  delete process.env.BERTH_FAULT_FILE;
  rmSync(faultFile, { force: true });
  await bed.close();
});

/** A new connection each time: the daemon may be another one. */
async function revive(id: string): Promise<void> {
  const connection = new Connection(join(bed.dir, 'berth.sock'));
  try {
    await connection.admin('ReviveContainer', { container_id: id }, { timeoutMs: 20_000 });
  } finally {
    connection.close();
  }
}

const podState = async ({ id }: Pod) =>
  (await bed.call('PodSandboxStatus', { pod_sandbox_id: id })).status?.state;

/** Until its pod is stopped too, as its label says. */
async function untilEnded(pod: Pod, id: string): Promise<void> {
  await bed.ended(id);
  await until(
    async () => ((await podState(pod)) === PodSandboxState.SANDBOX_NOTREADY ? true : undefined),
    10_000,
    'the end of the pod',
  );
}

/** Every life appends a line to a file of the writable layer, and tells how many there are. */
const oneLife = { command: ['sh', '-c', 'echo x >> /lives; exit $(wc -l < /lives)'] };

/** Those that reviving passes through, of the sandbox and of the container. */
const steps: readonly StepName[] = [
  'run-sandbox/record',
  'run-sandbox/pin-namespaces',
  'run-sandbox/attach-network',
  'run-sandbox/make-files',
  'run-sandbox/record-ready',
  'create-container/record',
  'create-container/make-bundle',
  'create-container/mount-root',
  'create-container/make-volumes',
  'create-container/write-bundle',
  'create-container/run-monitor',
  'create-container/record-created',
];

/** A step that writes what is so from then on: failing after it must take that back. */
const isRecord = (step: StepName) => /\/record-(ready|created)$/.test(step);

test('a revived container has its id, its name and what it wrote, and its pod another address', async () => {
  const pod = await bed.runPod({ labels });
  const id = await bed.run(pod, 'again', oneLife);
  for (const life of [1, 2, 3]) {
    await untilEnded(pod, id);
    expect(await bed.status(id)).toMatchObject({ exit_code: life, metadata: { name: 'again' } });
    await revive(id);
    expect(await bed.status(id)).toMatchObject({ state: ContainerState.CONTAINER_CREATED, exit_code: 0 });
    expect(await podState(pod)).toBe(PodSandboxState.SANDBOX_READY);
    await revive(id); // nothing to do
    await bed.call('StartContainer', { container_id: id });
  }
  await untilEnded(pod, id);
  expect(bed.logText(pod, 'again')).toBe('');
  await bed.removePod(pod);
});

test('one of a pod that a kubelet may know stays exited, and so does one that runs', async () => {
  const pod = await bed.runPod();
  const id = await bed.run(pod, 'kubelet', oneLife);
  await expect(revive(id)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  await bed.ended(id);
  await expect(revive(id)).rejects.toThrow('is in no managed pod');
  await expect(revive('0'.repeat(64))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await bed.removePod(pod);
});

test('whichever step fails, or the daemon dies in, the next attempt succeeds', async () => {
  const pod = await bed.runPod({ labels });
  const id = await bed.run(pod, 'swept', oneLife);
  let life = 1;
  for (const step of steps)
    for (const fault of ['before=error', 'after=kill', ...(isRecord(step) ? ['after=error'] : [])]) {
      const where = `${step}:${fault}`;
      await untilEnded(pod, id);
      expect((await bed.status(id)).exit_code, where).toBe(life);
      writeFileSync(faultFile, where);
      await expect(revive(id), where).rejects.toThrow();
      if (fault.endsWith('kill')) {
        await bed.endDaemon('SIGKILL');
        await bed.startDaemon();
      }
      // What was recorded as created is so; all else is undone.
      if ((await bed.status(id)).state !== ContainerState.CONTAINER_CREATED)
        expect(await bed.status(id), where).toMatchObject({
          state: ContainerState.CONTAINER_EXITED,
          exit_code: life,
        });
      await revive(id);
      await bed.call('StartContainer', { container_id: id });
      life += 1;
    }
  await untilEnded(pod, id);
  await bed.removePod(pod);
}, 240_000);

test('a pod that goes with its container goes, whenever the daemon dies', async () => {
  const ends: readonly StepName[] = [
    'stop-container/record-exit',
    'stop-sandbox/record',
    'stop-sandbox/detach-network',
    'remove-sandbox/record-removing',
    'remove-sandbox/remove-containers',
    'remove-sandbox/remove-files',
  ];
  for (const step of ends) {
    const pod = await bed.runPod({ labels: { ...labels, 'dev.berth/on-exit': 'remove' } });
    const id = await bed.create(pod, 'goes', { command: ['true'] });
    const died = bed.pid;
    writeFileSync(faultFile, `${step}:after=kill`);
    await bed.call('StartContainer', { container_id: id }).catch(() => {}); // it may end before it answers
    await until(() => (existsSync(`/proc/${died}/fd/0`) ? undefined : true), 10_000, `the kill in ${step}`);
    await bed.endDaemon('SIGKILL');
    await bed.startDaemon();
    const gone = async () => {
      const { items } = await bed.call('ListPodSandbox', {});
      return items.some((item) => item.id === pod.id) ? undefined : true;
    };
    await until(gone, 10_000, `the removal after ${step}`);
  }
}, 120_000);
