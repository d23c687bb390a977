/** Containers and pods that go on from where they were, on a kernel, an OCI runtime and a CRIU that can do it. */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureNewerCriu } from '#conformance/tools/newer-criu.ts';
import type { ContainerConfigInit, PodSandboxConfigInit } from '#proto/generated/cri.ts';
import { type DaemonBed, openDaemonBed, testImage } from './testing/daemon-bed.ts';

const tools = await ensureNewerCriu();

/** Counts in the memory of the shell; every number goes to the log and into a file. */
const count =
  'rm -r /etc/profile.d 2>/dev/null; rm /etc/group; i=0; while :; do i=$((i+1)); echo $i; echo $i > /count; sleep 0.05; done';

let bed: DaemonBed;

beforeAll(async () => {
  if (tools.obstacle !== undefined) return;
  bed = await openDaemonBed(tools);
  await bed.client.call('PullImage', { image: { image: testImage } });
});

afterAll(async () => {
  if (tools.obstacle === undefined) expect(await bed.close()).toEqual([]);
});

function podConfig(name: string): PodSandboxConfigInit {
  return {
    metadata: { name, uid: name, namespace: 'checkpoint' },
    log_directory: join(bed.dir, 'logs', name),
    linux: { security_context: { namespace_options: { pid: 1 } } },
  };
}

function counter(name: string, change: ContainerConfigInit = {}): ContainerConfigInit {
  const image = { image: testImage };
  return { metadata: { name }, image, command: ['sh', '-c', count], log_path: `${name}.log`, ...change };
}

async function runPod(name: string, runtime_handler = ''): Promise<string> {
  return (await bed.client.call('RunPodSandbox', { config: podConfig(name), runtime_handler }))
    .pod_sandbox_id;
}

async function start(pod: string, config: ContainerConfigInit): Promise<string> {
  const { container_id } = await bed.client.call('CreateContainer', { pod_sandbox_id: pod, config });
  await bed.client.call('StartContainer', { container_id });
  return container_id;
}

/** The numbers that a container has logged. */
function counted(pod: string, name: string): number[] {
  const path = join(bed.dir, 'logs', pod, `${name}.log`);
  if (!existsSync(path)) return [];
  return [...readFileSync(path, 'utf8').matchAll(/stdout F (\d+)$/gm)].map(([, number]) => Number(number));
}

async function untilCounted(pod: string, name: string, least: number): Promise<number> {
  await expect.poll(() => counted(pod, name).length, { timeout: 20_000 }).toBeGreaterThanOrEqual(least);
  return counted(pod, name).at(-1)!;
}

async function run(id: string, ...cmd: string[]): Promise<string> {
  const { stdout, stderr } = await bed.client.call('ExecSync', { container_id: id, cmd, timeout: 20n });
  return `${stdout}${stderr}`.trim();
}

async function stateOf(id: string): Promise<number | undefined> {
  return (await bed.client.call('ContainerStatus', { container_id: id })).status?.state;
}

function isFrozen(id: string): boolean {
  return bed.look === undefined || existsSync(join(bed.dir, 'state', 'bundles', id, 'paused.json'));
}

describe.skipIf(tools.obstacle !== undefined).each(['crun', 'runc'])('with %s', (handler) => {
  test('a container goes on in a new pod, and where it was taken from', { timeout: 120_000 }, async () => {
    const [from, to] = [`from-${handler}`, `to-${handler}`];
    const pod = await runPod(from, handler);
    const id = await start(pod, counter('count'));
    const before = await untilCounted(from, 'count', 5);
    const location = join(bed.dir, `${handler}.tar`);
    await bed.client.call('CheckpointContainer', { container_id: id, location, timeout: 60n });

    const taken = counted(from, 'count').length;
    expect(statSync(location).mode & 0o7777).toBe(0o600);
    const members = execFileSync('tar', ['-tf', location], { encoding: 'utf8' }).split('\n');
    for (const name of [
      'config.dump',
      'spec.dump',
      'bind.mounts',
      'dump.log',
      'stats-dump',
      'rootfs-diff.tar',
      'deleted.files',
      'checkpoint/inventory.img',
      'checkpoint/pstree.img',
    ])
      expect(members).toContain(name);
    expect(readdirSync(bed.dir).filter((name) => name.includes('partial'))).toEqual([]);
    expect(isFrozen(id)).toBe(false);
    await untilCounted(from, 'count', taken + 3);
    await bed.client.call('RemovePodSandbox', { pod_sandbox_id: pod });

    const next = await runPod(to, handler);
    const { container_id: restored } = await bed.client.call('CreateContainer', {
      pod_sandbox_id: next,
      config: { metadata: { name: 'again' }, image: { image: location }, log_path: 'again.log' },
    });
    expect(await stateOf(restored)).toBe(0);
    expect(counted(to, 'again')).toEqual([]);
    rmSync(location);
    await bed.client.call('StartContainer', { container_id: restored });
    await untilCounted(to, 'again', 5);
    const numbers = counted(to, 'again');
    expect(numbers[0]).toBeGreaterThan(before);
    expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + index));
    expect(Number(await run(restored, 'cat', '/count'))).toBeGreaterThanOrEqual(numbers.at(-1)!);
    expect(await run(restored, 'cat', '/etc/group')).toContain('No such file');
    const { info } = await bed.client.call('ContainerStatus', { container_id: restored, verbose: true });
    const { pid } = JSON.parse(info['info']!) as { pid: number };
    expect(readFileSync(`/proc/${pid}/cgroup`, 'utf8')).toContain(restored);
    await bed.client.call('StopContainer', { container_id: restored, timeout: 0n });
    const { status: stopped } = await bed.client.call('ContainerStatus', { container_id: restored });
    expect(stopped).toMatchObject({ state: 2, exit_code: 137 });
    await bed.client.call('RemovePodSandbox', { pod_sandbox_id: next });
    expect(readdirSync(join(bed.dir, 'root', 'restores'))).toEqual([]);
  });
});
