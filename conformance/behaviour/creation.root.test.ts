/** RunPodSandbox and CreateContainer by impatient clients: asked twice, asked again, given up. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NamespaceMode } from '#proto/generated/cri.ts';
import { BehaviourBed, type Pod } from './bed.ts';
import { findLeft } from './leftovers.ts';

let bed: BehaviourBed;
let pod: Pod;

beforeAll(async () => {
  bed = await BehaviourBed.start({
    config: (dir) => ({ runtime: { hooks_dirs: [writeHooks(join(dir, 'hooks'))] } }),
  });
  pod = await bed.runPod();
});
afterAll(() => bed.close());

/** Annotations that make the OCI runtime, at work on a create, hang or kill the process of that number. */
const hangs = { 'test/hang': 'yes' };
const kills = (pid: number) => ({ 'test/kill': String(pid) });

function writeHooks(folder: string): string {
  mkdirSync(folder);
  const write = (name: string, script: string) => {
    const path = join(folder, `${name}.sh`);
    writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const when = { annotations: { [`^test/${name}$`]: '.*' } };
    const hook = { version: '1.0.0', hook: { path }, when, stages: ['createRuntime'] };
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(hook));
  };
  write('hang', 'exec sleep 1000');
  // The annotation comes in the state on standard input.
  write('kill', `kill -9 $(tr -d '\\n ' | sed 's/.*"test.\\{1,2\\}kill":"\\([0-9]*\\)".*/\\1/'); sleep 0.2`);
  return folder;
}

const request = (name: string, more = {}) => ({
  pod_sandbox_id: pod.id,
  config: bed.containerConfig(name, more),
  sandbox_config: pod.config,
});

test('a sandbox asked for twice at once is one sandbox, and asking again finds it', async () => {
  const config = bed.podConfig();
  const replies = await Promise.all([1, 2, 3].map(() => bed.call('RunPodSandbox', { config })));
  expect(new Set(replies.map(({ pod_sandbox_id: id }) => id)).size).toBe(1);
  const again = await bed.call('RunPodSandbox', { config });
  expect(again.pod_sandbox_id).toBe(replies[0]!.pod_sandbox_id);
  await bed.call('RemovePodSandbox', { pod_sandbox_id: again.pod_sandbox_id });
});

test('another sandbox under the same name is refused, at once and later', async () => {
  const config = bed.podConfig();
  const other = { ...config, hostname: 'other' };
  const [first, second] = await Promise.allSettled([
    bed.call('RunPodSandbox', { config }),
    bed.call('RunPodSandbox', { config: other }),
  ]);
  expect(first.status).toBe('fulfilled');
  expect(second).toMatchObject({ status: 'rejected', reason: { code: 'ALREADY_EXISTS' } });
  await expect(bed.call('RunPodSandbox', { config: other })).rejects.toMatchObject({
    code: 'ALREADY_EXISTS',
  });
  const { items } = await bed.call('ListPodSandbox', {});
  expect(items.filter(({ metadata }) => metadata?.name === config.metadata?.name)).toHaveLength(1);
});

test('a client that timed out finds its sandbox or gets a new one, and there is only one', async () => {
  for (const timeoutMs of [5, 25, 60, 120, 200]) {
    const config = bed.podConfig();
    await bed.call('RunPodSandbox', { config }, timeoutMs).catch(() => {});
    const { pod_sandbox_id: id } = await bed.call('RunPodSandbox', { config });
    const { items } = await bed.call('ListPodSandbox', {});
    expect(
      items.filter(({ metadata }) => metadata?.name === config.metadata?.name).map((item) => item.id),
    ).toEqual([id]);
    await bed.call('RemovePodSandbox', { pod_sandbox_id: id });
  }
});

test('a container asked for twice at once is one container, and asking again finds it', async () => {
  const wanted = request('twice', { labels: { a: '1', stampNs: '12' } });
  const replies = await Promise.all([1, 2, 3].map(() => bed.call('CreateContainer', wanted)));
  expect(new Set(replies.map(({ container_id: id }) => id)).size).toBe(1);
  expect(await bed.call('CreateContainer', wanted)).toEqual(replies[0]);
  await bed.endDaemon('SIGTERM');
  await bed.startDaemon();
  expect(await bed.call('CreateContainer', wanted)).toEqual(replies[0]);
});

test('another container under the same name is refused, at once and later', async () => {
  const [first, second] = await Promise.allSettled([
    bed.call('CreateContainer', request('same')),
    bed.call('CreateContainer', request('same', { working_dir: '/tmp' })),
  ]);
  expect(first.status).toBe('fulfilled');
  expect(second).toMatchObject({ status: 'rejected', reason: { code: 'ALREADY_EXISTS' } });
  await expect(bed.call('CreateContainer', request('same', { tty: true }))).rejects.toMatchObject({
    code: 'ALREADY_EXISTS',
  });
});

test('a client that timed out finds its container or gets a new one, and there is only one', async () => {
  for (const timeoutMs of [3, 15, 30, 50, 80]) {
    const wanted = request(`late-${timeoutMs}`);
    await bed.call('CreateContainer', wanted, timeoutMs).catch(() => {});
    const { container_id: id } = await bed.call('CreateContainer', wanted);
    const { containers } = await bed.call('ListContainers', {});
    expect(
      containers
        .filter(({ metadata }) => metadata?.name === `late-${timeoutMs}`)
        .map((container) => container.id),
    ).toEqual([id]);
    await bed.call('StartContainer', { container_id: id });
  }
});

test('creations that are canceled at any point leave nothing, or the whole container', async () => {
  const canceled = async (name: string, afterMs: number) => {
    const cancel = new AbortController();
    const call = bed.call('CreateContainer', request(name), 30_000, cancel.signal);
    await Promise.race([delay(afterMs), call.catch(() => {})]);
    cancel.abort();
    return call.then(
      () => 'created',
      (error) => error.code,
    );
  };
  for (let afterMs = 0; afterMs < 120; afterMs += 8) {
    const outcome = await canceled(`canceled-${afterMs}`, afterMs);
    expect(['created', 'CANCELLED']).toContain(outcome);
  }
  // Nobody waits for the undoing any more; removing the pod does.
  await bed.removePod(pod);
  expect((await bed.call('ListContainers', {})).containers).toEqual([]);
  await bed.leftovers();
  expect(findLeft(bed)).toEqual([]);
  pod = await bed.runPod();
});

test('a create that hangs ends with its client, and its name is free soon', async () => {
  const hanging = request('hanging', { annotations: hangs });
  await expect(bed.call('CreateContainer', hanging, 300)).rejects.toMatchObject({
    code: 'DEADLINE_EXCEEDED',
  });
  const { container_id: id } = await bed.call('CreateContainer', request('hanging'), 10_000);
  await bed.call('StartContainer', { container_id: id });
  expect((await bed.call('ListContainers', {})).containers).toHaveLength(1);
});

test('a target that dies while its PID namespace is joined fails the create', async () => {
  const target = await bed.run(pod, 'target');
  const namespace_options = { pid: NamespaceMode.TARGET, target_id: target };
  const { pid } = await bed.info(target);
  // Who finds out first, the OCI runtime or the look after it, differs.
  await expect(
    bed.create(pod, 'debug', { annotations: kills(pid), linux: { security_context: { namespace_options } } }),
  ).rejects.toThrow(/has ended|crun create/);
  await bed.ended(target);
  expect(
    (await bed.call('ListContainers', {})).containers.map(({ metadata }) => metadata?.name),
  ).not.toContain('debug');
});
