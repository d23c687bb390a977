/** Bad requests to a real daemon with a pod on it: each gets its status, and nothing has changed after it. */
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encode } from '#proto/codec.ts';
import type { MessageInits, MessageName } from '#proto/generated/cri.ts';
import { isStreamName, methods, type RpcName } from './method.ts';
import { badRequests, placeholder, placeholderRequests, type Scene } from './testing/bad-requests.ts';
import { type DaemonBed, openDaemonBed, testImage } from './testing/daemon-bed.ts';

/** They have nothing that could be wrong but the bytes. */
const withoutInput: readonly RpcName[] = [
  'Version',
  'Status',
  'RuntimeConfig',
  'ImageFsInfo',
  'GetContainerEvents',
  'ListMetricDescriptors',
  'ListPodSandboxMetrics',
  'StreamPodSandboxMetrics',
];

let bed: DaemonBed;
let scene: Scene;

beforeAll(async () => {
  bed = await openDaemonBed();
  const { client, dir } = bed;
  await client.call('PullImage', { image: { image: testImage } });
  const { pod_sandbox_id: sandboxId } = await client.call('RunPodSandbox', {
    config: {
      metadata: { name: 'good', uid: 'good', namespace: 'good' },
      log_directory: join(dir, 'logs'),
      linux: { security_context: { namespace_options: { pid: 1 } } },
    },
  });
  const create = async (name: string): Promise<string> => {
    const config = {
      metadata: { name },
      image: { image: testImage },
      command: ['sleep', '600'],
      log_path: `${name}.log`,
    };
    return (await client.call('CreateContainer', { pod_sandbox_id: sandboxId, config })).container_id;
  };
  const runningId = await create('running');
  await client.call('StartContainer', { container_id: runningId });
  scene = { image: testImage, sandboxId, runningId, createdId: await create('created') };
});

afterAll(async () => {
  await bed.client.call('RemovePodSandbox', { pod_sandbox_id: scene.sandboxId });
  expect(await bed.close()).toEqual([]);
});

/** The status of a call, and its text. */
async function answer(rpc: RpcName, request: MessageInits[MessageName] | Buffer): Promise<[string, string]> {
  const { client } = bed;
  try {
    if (isStreamName(rpc)) await client.collect(rpc, request as never);
    else await client.call(rpc, request as never, { deadline: Date.now() + 20_000 });
    return [status[status.OK]!, ''];
  } catch (error) {
    const { code, details } = error as ServiceError;
    return [status[code] ?? String(error), details];
  }
}

/** What a client and the host see of the daemon. */
async function look(): Promise<unknown> {
  const { client, dir } = bed;
  const { pod_sandbox_id, runningId, createdId } = { pod_sandbox_id: scene.sandboxId, ...scene };
  const sandbox = await client.call('PodSandboxStatus', { pod_sandbox_id, verbose: true });
  return {
    sandboxes: await client.call('ListPodSandbox', {}),
    sandbox: { status: sandbox.status, info: sandbox.info },
    containers: await client.call('ListContainers', {}),
    running: await client.call('ContainerStatus', { container_id: runningId, verbose: true }),
    created: await client.call('ContainerStatus', { container_id: createdId, verbose: true }),
    images: await client.call('ListImages', {}),
    mounts: readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(dir)),
    ports: bed.look().bridgePorts,
    files: listFiles(),
  };
}

/** What is inside of images and containers, what Node caches when it pleases, and what is given up already. */
const unwatched = new Set(['fs', 'rootfs', 'merged', 'work', 'compile-cache', 'trash']);

/** Names of all other files of the daemon. */
function listFiles(): string[] {
  return globSync('{root,state,logs,cni}/**', {
    cwd: bed.dir,
    exclude: (path) => unwatched.has(basename(path)),
  }).toSorted();
}

test('every call has bad requests to refuse', () => {
  const covered = new Set<RpcName>([...badRequests(scene).map(({ rpc }) => rpc), ...withoutInput]);
  expect(Object.keys(methods).filter((rpc) => !covered.has(rpc as RpcName))).toEqual([]);
  // What is compared below is there.
  expect(listFiles().filter((path) => path.includes(scene.runningId)).length).toBeGreaterThan(2);
});

test('bytes that are no message are refused by every call, and so are more than 16 MiB', async () => {
  const before = await look();
  for (const rpc of Object.keys(methods) as RpcName[]) {
    if (isStreamName(rpc)) continue;
    expect([rpc, ...(await answer(rpc, Buffer.from([0x0a, 0x7f, 0x41])))]).toEqual([
      rpc,
      'INVALID_ARGUMENT',
      expect.stringContaining(methods[rpc].requestType),
    ]);
  }
  for (const rpc of ['RunPodSandbox', 'PullImage'] as const)
    expect(await answer(rpc, Buffer.alloc((16 << 20) + 1))).toEqual([
      'RESOURCE_EXHAUSTED',
      expect.any(String),
    ]);
  expect(await look()).toEqual(before);
});

test('text that is not UTF-8 is refused, whatever it is part of', async () => {
  const before = await look();
  for (const { rpc, what, request } of placeholderRequests(scene)) {
    const bytes = encode(methods[rpc].requestType as MessageName, request as MessageInits[MessageName]);
    const at = bytes.indexOf(placeholder);
    expect(at).toBeGreaterThan(0);
    bytes[at] = 0xff;
    expect([rpc, what, ...(await answer(rpc, bytes))]).toEqual([
      rpc,
      what,
      'INVALID_ARGUMENT',
      expect.stringContaining('not UTF-8'),
    ]);
  }
  expect(await look()).toEqual(before);
});

describe('a wrong field or id gets its status and changes nothing', () => {
  test.for(Object.keys(methods).filter((rpc) => !withoutInput.includes(rpc as RpcName)))(
    '%s',
    async (rpc) => {
      const before = await look();
      for (const { what, request, code } of badRequests(scene).filter((bad) => bad.rpc === rpc)) {
        const [name, text] = await answer(rpc as RpcName, request);
        expect([rpc, what, name, name === 'OK' ? '' : text]).toEqual([
          rpc,
          what,
          status[code],
          expect.any(String),
        ]);
        expect([what, await look()]).toEqual([what, before]);
      }
    },
  );
});
