/** Every call of both services, answered by a real daemon in the life of one pod. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MessageInits, Messages } from '#proto/generated/cri.ts';
import { methods, type RpcName, type StreamName, type UnaryName } from './method.ts';
import { type DaemonBed, openDaemonBed, testImage } from './testing/daemon-bed.ts';

type Init<K extends RpcName> = MessageInits[(typeof methods)[K]['requestType']];
type Reply<K extends RpcName> = Messages[(typeof methods)[K]['responseType']];

let bed: DaemonBed;
/** Calls that were answered, those whose answer is a reasoned refusal included. */
const answered = new Set<RpcName>();

beforeAll(async () => {
  bed = await openDaemonBed();
});

afterAll(async () => {
  expect(await bed.close()).toEqual([]);
});

async function call<K extends UnaryName>(rpc: K, request: Init<K>): Promise<Reply<K>> {
  const reply = await bed.client.call(rpc, request, { deadline: Date.now() + 30_000 });
  answered.add(rpc);
  return reply;
}

/** Every item of a streamed list. */
async function collect<K extends StreamName>(rpc: K, request: Init<K>): Promise<Reply<K>[]> {
  const replies = await bed.client.collect(rpc, request);
  answered.add(rpc);
  return replies;
}

test('the node and its images', async () => {
  expect(await call('Version', {})).toMatchObject({ runtime_name: 'berth', runtime_api_version: 'v1' });
  const { status: state, runtime_handlers } = await call('Status', { verbose: true });
  expect(state?.conditions.map((condition) => [condition.type, condition.status])).toEqual([
    ['RuntimeReady', true],
    ['NetworkReady', true],
  ]);
  expect(runtime_handlers.map(({ name }) => name)).toEqual(expect.arrayContaining(['', 'crun', 'runc']));
  expect([0, 1]).toContain((await call('RuntimeConfig', {})).linux?.cgroup_driver);
  await call('UpdateRuntimeConfig', { runtime_config: { network_config: { pod_cidr: '10.244.3.0/24' } } });

  const { image_ref: id } = await call('PullImage', { image: { image: testImage } });
  const { images } = await call('ListImages', {});
  expect(images).toMatchObject([{ id, repo_tags: [testImage] }]);
  expect((await collect('StreamImages', {})).flatMap((reply) => reply.images)).toEqual(images);
  expect((await call('ImageStatus', { image: { image: testImage } })).image).toEqual(images[0]);
  const { image_filesystems } = await call('ImageFsInfo', {});
  expect(image_filesystems[0]?.used_bytes?.value).toBeGreaterThan(0n);
});

test('a pod from beginning to end', async () => {
  const { dir, client } = bed;
  let isOver = false;
  const events = client.collect('GetContainerEvents', {}, (seen) => {
    isOver = seen.some((event) => event.container_event_type === 3 && event.container_id === pod);
    return isOver;
  });
  const { pod_sandbox_id: pod } = await call('RunPodSandbox', {
    config: {
      metadata: { name: 'all', uid: 'all', namespace: 'all' },
      log_directory: join(dir, 'logs'),
      linux: { security_context: { namespace_options: { pid: 1 } } },
    },
  });
  const { status: sandbox } = await call('PodSandboxStatus', { pod_sandbox_id: pod });
  expect(sandbox?.network?.ip).toMatch(/^10\.218\./);
  const { items } = await call('ListPodSandbox', { filter: { id: pod.slice(0, 8) } });
  expect(items.map(({ id }) => id)).toEqual([pod]);
  const streamed = await collect('StreamPodSandboxes', {});
  expect(streamed.flatMap((reply) => reply.pod_sandboxes)).toEqual(items);
  await call('UpdatePodSandboxResources', { pod_sandbox_id: pod, resources: { cpu_shares: 512n } });

  const { container_id: id } = await call('CreateContainer', {
    pod_sandbox_id: pod,
    config: {
      metadata: { name: 'main' },
      image: { image: testImage },
      command: ['sh', '-c', 'trap "exit 4" TERM; while :; do echo line; sleep 0.1; done'],
      log_path: 'main.log',
    },
  });
  await call('StartContainer', { container_id: id });
  await lookAtContainer(pod, id);
  await readUsage(pod, id);
  await call('StopContainer', { container_id: id, timeout: 20n });
  const { status: stopped } = await call('ContainerStatus', { container_id: id });
  expect(stopped).toMatchObject({ exit_code: 4, reason: 'Error' });
  await call('RemoveContainer', { container_id: id });
  await call('StopPodSandbox', { pod_sandbox_id: pod });
  await call('RemovePodSandbox', { pod_sandbox_id: pod });
  await call('RemoveImage', { image: { image: testImage } });
  const heard = (await events).map((event) => [event.container_id === pod, event.container_event_type]);
  answered.add('GetContainerEvents');
  expect(isOver).toBe(true);
  expect(heard.filter(([isPod]) => isPod).map(([, type]) => type)).toEqual([0, 1, 2, 3]);
  expect(heard.filter(([isPod]) => !isPod).map(([, type]) => type)).toEqual([0, 1, 2, 3]);
});

async function lookAtContainer(pod: string, id: string): Promise<void> {
  const { containers } = await call('ListContainers', { filter: { pod_sandbox_id: pod } });
  expect(containers).toMatchObject([{ id, state: 1 }]);
  const streamed = await collect('StreamContainers', {});
  expect(streamed.flatMap((reply) => reply.containers)).toEqual(containers);
  await call('UpdateContainerResources', { container_id: id, linux: { cpu_shares: 512n } });
  const { status: running } = await call('ContainerStatus', { container_id: id, verbose: true });
  expect(running?.resources?.linux?.cpu_shares).toBe(512n);

  const log = join(bed.dir, 'logs', 'main.log');
  await expect.poll(() => readFileSync(log, 'utf8')).toContain(' stdout F line');
  renameSync(log, `${log}.1`);
  await call('ReopenContainerLog', { container_id: id });
  expect(existsSync(log)).toBe(true);
  await expect.poll(() => readFileSync(log, 'utf8')).toContain(' stdout F line');

  const ran = await call('ExecSync', {
    container_id: id,
    cmd: ['sh', '-c', 'echo out; echo err >&2; exit 3'],
  });
  expect([String(ran.stdout), String(ran.stderr), ran.exit_code]).toEqual(['out\n', 'err\n', 3]);
  const streams = { stdout: true, stderr: true };
  for (const { url } of [
    await call('Exec', { container_id: id, cmd: ['true'], ...streams }),
    await call('Attach', { container_id: id, ...streams }),
    await call('PortForward', { pod_sandbox_id: pod, port: [80] }),
  ])
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/(exec|attach|portforward)\/\S{8,}$/);
  await checkpoint(pod, id);
}

/**
 * Where the host or the OCI runtime cannot, the refusal must say what to do, nothing may be left, and the container must
 * run on. Where they can, see checkpoint.root.test.ts.
 */
async function checkpoint(pod: string, id: string): Promise<void> {
  const location = join(bed.dir, 'checkpoint.tar');
  const output_path = join(bed.dir, 'checkpoint');
  mkdirSync(output_path);
  const works = await attempt('CheckpointContainer', { container_id: id, location });
  expect(existsSync(location)).toBe(works);
  expect(await attempt('CheckpointPod', { pod_sandbox_id: pod, output_path, container_ids: [id] })).toBe(
    works,
  );
  expect(readdirSync(output_path).length > 0).toBe(works);
  const { status: after } = await call('ContainerStatus', { container_id: id });
  expect(after?.state).toBe(1);

  if (!works) writeFileSync(join(output_path, 'pod.options'), '{"version":1,"containers":{"main":"x"}}');
  mkdirSync(join(output_path, 'main'), { recursive: true });
  const { items } = await call('ListPodSandbox', {});
  const restored = await attempt('RestorePod', {
    checkpoint_path: output_path,
    config: { metadata: { name: 'restored', uid: 'restored', namespace: 'all' } },
    container_configs: [{ metadata: { name: 'main' }, image: { image: testImage }, command: ['sleep', '9'] }],
  });
  // The command is another one than the checkpoint's.
  expect(restored).toBe(false);
  expect((await call('ListPodSandbox', {})).items).toEqual(items);
}

/** Whether the call was carried out; a reasoned refusal is an answer too. */
async function attempt<K extends UnaryName>(rpc: K, request: Init<K>): Promise<boolean> {
  try {
    await call(rpc, request);
    return true;
  } catch (error) {
    answered.add(rpc);
    const { code, details } = error as ServiceError;
    expect([status.UNIMPLEMENTED, status.FAILED_PRECONDITION, status.INVALID_ARGUMENT]).toContain(code);
    expect(details).toMatch(/criu|command is another one/i);
    return false;
  }
}

async function readUsage(pod: string, id: string): Promise<void> {
  const { stats } = await call('ContainerStats', { container_id: id });
  expect(stats?.attributes?.id).toBe(id);
  expect(stats?.memory?.working_set_bytes?.value).toBeGreaterThan(0n);
  const idsOf = (list: readonly { attributes: { id: string } | undefined }[]): unknown =>
    list.map(({ attributes }) => attributes?.id);
  expect(idsOf((await call('ListContainerStats', {})).stats)).toEqual([id]);
  const containers = (await collect('StreamContainerStats', {})).flatMap((reply) => reply.container_stats);
  expect(idsOf(containers)).toEqual([id]);

  expect((await call('PodSandboxStats', { pod_sandbox_id: pod })).stats?.linux?.network).toBeDefined();
  expect(idsOf((await call('ListPodSandboxStats', {})).stats)).toEqual([pod]);
  const pods = (await collect('StreamPodSandboxStats', {})).flatMap((reply) => reply.pod_sandbox_stats);
  expect(idsOf(pods)).toEqual([pod]);

  const { descriptors } = await call('ListMetricDescriptors', {});
  const keys = new Map(descriptors.map(({ name, label_keys }) => [name, label_keys.length]));
  const { pod_metrics } = await call('ListPodSandboxMetrics', {});
  expect(pod_metrics.map(({ pod_sandbox_id }) => pod_sandbox_id)).toEqual([pod]);
  for (const { name, label_values } of pod_metrics.flatMap(({ metrics, container_metrics }) => [
    ...metrics,
    ...container_metrics.flatMap((container) => container.metrics),
  ]))
    expect([name, label_values.length]).toEqual([name, keys.get(name)]);
  const metrics = (await collect('StreamPodSandboxMetrics', {})).flatMap(
    (reply) => reply.pod_sandbox_metrics,
  );
  expect(metrics.map(({ pod_sandbox_id }) => pod_sandbox_id)).toEqual([pod]);
}

test('no call was left out', () => {
  expect(Object.keys(methods).filter((rpc) => !answered.has(rpc as RpcName))).toEqual([]);
});
