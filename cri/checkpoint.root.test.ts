/** Containers and pods that go on from where they were, on a kernel, an OCI runtime and a CRIU that can do it. */
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { AdminClient } from '#conformance/admin-client.ts';
import { pushCheckpointImage } from '#conformance/fixtures/checkpoint-image.ts';
import { ensureNewerCriu } from '#conformance/tools/newer-criu.ts';
import type { ContainerConfigInit, PodSandboxConfigInit } from '#proto/generated/cri.ts';
import { capabilitiesOf } from '#runtime/host-facts.ts';
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
  await vi.waitFor(() => expect(counted(pod, name).length).toBeGreaterThanOrEqual(least), 20_000);
  return counted(pod, name).at(-1)!;
}

async function run(id: string, ...cmd: string[]): Promise<string> {
  const { stdout, stderr } = await bed.client.call('ExecSync', { container_id: id, cmd, timeout: 20n });
  return `${stdout}${stderr}`.trim();
}

async function stateOf(id: string): Promise<number | undefined> {
  return (await bed.client.call('ContainerStatus', { container_id: id })).status?.state;
}

/** Stands in the bundle while the container is stopped. */
function markOf(id: string): string {
  return join(bed.dir, 'state', 'bundles', id, 'checkpointing.json');
}

/** The control groups of a container in all hierarchies. */
function groupsOf(id: string): string[] {
  const found = globSync(['/sys/fs/cgroup/{,*/}*'], { exclude: (path) => path.split('/').length > 7 });
  return found.filter((path) => path.endsWith(id));
}

/** It counts on, and nothing of a checkpoint is left in Berth's folders. */
async function expectUnharmed(pod: string, name: string, id: string): Promise<void> {
  await untilCounted(pod, name, counted(pod, name).length + 3);
  const captures = join(bed.dir, 'root', 'captures');
  // A daemon that takes over does it beside its first calls.
  await vi.waitFor(() => {
    expect(existsSync(markOf(id))).toBe(false);
    expect(existsSync(captures) ? readdirSync(captures) : []).toEqual([]);
  }, 20_000);
}

/** When a container stood still longest: between two lines of its log. */
function longestGap(pod: string, name: string): { from: number; to: number } {
  const text = readFileSync(join(bed.dir, 'logs', pod, `${name}.log`), 'utf8');
  const times = [...text.matchAll(/^(\S+) stdout/gm)].map(([, time]) => Date.parse(time!));
  const gaps = times.slice(1).map((to, index) => ({ from: times[index]!, to }));
  return gaps.toSorted((a, b) => b.to - b.from - (a.to - a.from))[0]!;
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
    expect(existsSync(markOf(id))).toBe(false);
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
    await vi.waitFor(
      async () =>
        expect(Number(await run(restored, 'cat', '/count'))).toBeGreaterThanOrEqual(numbers.at(-1)!),
      10_000,
    );
    expect(await run(restored, 'cat', '/etc/group')).toContain('No such file');
    const { info } = await bed.client.call('ContainerStatus', { container_id: restored, verbose: true });
    const { pid } = JSON.parse(info.info!) as { pid: number };
    expect(readFileSync(`/proc/${pid}/cgroup`, 'utf8')).toContain(restored);
    await bed.client.call('StopContainer', { container_id: restored, timeout: 0n });
    const { status: stopped } = await bed.client.call('ContainerStatus', { container_id: restored });
    expect(stopped).toMatchObject({ state: 2, exit_code: 137 });
    await bed.client.call('RemovePodSandbox', { pod_sandbox_id: next });
    expect(readdirSync(join(bed.dir, 'root', 'restores'))).toEqual([]);
  });
});

/** Whether this process may do what only CAP_`name` allows. */
function hasCapability(name: 'SYS_RESOURCE'): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  return capabilitiesOf(mask).includes(`CAP_${name}`);
}

test.skipIf(tools.obstacle !== undefined)(
  'a container goes on from an image',
  { timeout: 60_000 },
  async () => {
    const { client, dir } = bed;
    const pod = await runPod('image-from');
    const id = await start(pod, counter('count', { envs: [{ key: 'COLOUR', value: Buffer.from('green') }] }));
    const before = await untilCounted('image-from', 'count', 5);
    const location = join(dir, 'image.tar');
    await client.call('CheckpointContainer', { container_id: id, location });
    await client.call('RemovePodSandbox', { pod_sandbox_id: pod });
    await pushCheckpointImage(bed.registryHost, readFileSync(location), 'point');
    const image = 'docker.io/library/point:latest';
    const { image_ref } = await client.call('PullImage', { image: { image } });
    const next = await runPod('image-to');
    const restored = await start(next, {
      metadata: { name: 'count' },
      image: { image: image_ref, user_specified_image: image },
      log_path: 'count.log',
    });
    await untilCounted('image-to', 'count', 3);
    expect(counted('image-to', 'count')[0]).toBeGreaterThan(before);
    expect(await run(restored, 'sh', '-c', 'echo $COLOUR')).toBe('green');
    await client.call('RemovePodSandbox', { pod_sandbox_id: next });
    await client.call('RemoveImage', { image: { image } });
  },
);

test.skipIf(tools.obstacle !== undefined).each(['crun', 'runc'])(
  'what confines a process confines it again, with %s',
  { timeout: 60_000 },
  async (handler) => {
    const { client, dir } = bed;
    const [from, to] = [`confined-from-${handler}`, `confined-to-${handler}`];
    const data = join(dir, `confined-${handler}`);
    mkdirSync(data);
    // CRIU asks for the limits of the process, and those of another user are seen only with this capability.
    const uid = hasCapability('SYS_RESOURCE') ? 1000 : 0;
    chownSync(data, uid, uid);
    writeFileSync(join(data, 'page'), 'hello');
    const listening =
      'httpd -f -p 8080 -h /data & exec 3>/data/open; echo word >&3; i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done';
    const config: ContainerConfigInit = {
      metadata: { name: 'confined' },
      image: { image: testImage },
      command: ['sh', '-c', listening],
      log_path: 'confined.log',
      mounts: [{ host_path: data, container_path: '/data', mount_options: ['noexec'] }],
      linux: {
        resources: { memory_limit_in_bytes: 64n << 20n },
        security_context: {
          run_as_user: { value: BigInt(uid) },
          run_as_group: { value: BigInt(uid) },
          seccomp: { profile_type: 0 },
          no_new_privs: true,
          readonly_rootfs: true,
          masked_paths: ['/proc/kcore', '/proc/keys', '/proc/timer_list', '/sys/firmware'],
          readonly_paths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
          capabilities: { drop_capabilities: ['ALL'] },
        },
      },
    };
    const pod = await runPod(from, handler);
    const id = await start(pod, config);
    const before = await untilCounted(from, 'confined', 5);
    const look = async (container: string): Promise<string[]> => {
      const text = await run(container, 'sh', '-c', 'cat /proc/1/status; cat /proc/1/mounts | wc -l');
      return text.split('\n').filter((line) => /^(Uid|Gid|Cap|NoNewPrivs|Seccomp:|\d)/.test(line));
    };
    const confined = await look(id);
    expect(await run(id, 'wget', '-qO-', 'http://127.0.0.1:8080/page')).toBe('hello');
    expect(confined).toEqual(
      expect.arrayContaining(['NoNewPrivs:\t1', 'Seccomp:\t2', 'CapEff:\t0000000000000000']),
    );
    const output_path = join(dir, `confined-checkpoint-${handler}`);
    mkdirSync(output_path);
    await client.call('CheckpointPod', { pod_sandbox_id: pod, output_path, container_ids: [id] });
    await client.call('RemovePodSandbox', { pod_sandbox_id: pod });
    const { pod_sandbox_id: next, restored_containers } = await client.call('RestorePod', {
      checkpoint_path: output_path,
      config: podConfig(to),
      runtime_handler: handler,
      container_configs: [config],
    });
    const again = restored_containers[0]!.container_id;
    await client.call('StartContainer', { container_id: again });
    await untilCounted(to, 'confined', 3);
    expect(counted(to, 'confined')[0]).toBeGreaterThan(before);
    expect(await look(again)).toEqual(confined);
    expect(await run(again, 'wget', '-qO-', 'http://127.0.0.1:8080/page')).toBe('hello');
    expect(await run(again, 'readlink', '/proc/1/fd/3')).toBe('/data/open');
    await client.call('RemovePodSandbox', { pod_sandbox_id: next });
  },
);

describe.skipIf(tools.obstacle !== undefined)('a pod', () => {
  test('goes on as a whole, as it was at one moment', { timeout: 120_000 }, async () => {
    const { client, dir } = bed;
    const pod = await runPod('whole');
    const ids = [await start(pod, counter('one')), await start(pod, counter('two'))];
    for (const name of ['one', 'two']) await untilCounted('whole', name, 5);
    await run(ids[0]!, 'sh', '-c', 'echo shared > /dev/shm/word');
    const output = join(dir, 'whole-checkpoint');
    mkdirSync(output, { mode: 0o700 });
    await client.call('CheckpointPod', {
      pod_sandbox_id: pod,
      output_path: output,
      container_ids: ids,
    });
    for (const name of ['one', 'two']) await untilCounted('whole', name, counted('whole', name).length + 3);
    const [one, two] = [longestGap('whole', 'one'), longestGap('whole', 'two')];
    // Each stood still from before the other was captured until after.
    expect(Math.max(one.from, two.from)).toBeLessThan(Math.min(one.to, two.to));
    const lasts = ['one', 'two'].map((name) => counted('whole', name).length);
    await client.call('RemovePodSandbox', { pod_sandbox_id: pod });

    const container_configs = [counter('one'), counter('two')];
    const request = { checkpoint_path: output, config: podConfig('again'), container_configs };
    const files = execFileSync('find', [output], { encoding: 'utf8' });
    const reply = await client.call('RestorePod', request);
    const { pod_sandbox_id: next, restored_containers } = reply;
    // A client that did not get the answer asks again.
    expect(await client.call('RestorePod', request)).toEqual(reply);
    await expect(
      client.call('RestorePod', { ...request, config: { ...podConfig('again'), hostname: 'other' } }),
    ).rejects.toMatchObject({ code: status.ALREADY_EXISTS });
    rmSync(output, { recursive: true });
    expect(files).toContain('pod.options');
    expect(restored_containers.map(({ name }) => name)).toEqual(['one', 'two']);
    for (const { container_id } of restored_containers) expect(await stateOf(container_id)).toBe(0);
    expect(counted('again', 'one')).toEqual([]);
    const filter = { pod_sandbox_id: next };
    expect((await client.call('ListContainerStats', { filter })).stats.length).toBe(2);
    await client.call('PodSandboxStats', { pod_sandbox_id: next });
    // They wait through a death of the daemon.
    await bed.killAndRestart();
    for (const { container_id } of restored_containers) expect(await stateOf(container_id)).toBe(0);
    for (const { container_id } of restored_containers) await client.call('StartContainer', { container_id });
    for (const [index, name] of ['one', 'two'].entries()) {
      await untilCounted('again', name, 5);
      const [first] = counted('again', name);
      expect(first).toBeGreaterThan(5);
      expect(first).toBeLessThanOrEqual(lasts[index]!);
    }
    expect(await run(restored_containers[1]!.container_id, 'cat', '/dev/shm/word')).toBe('shared');
    await client.call('RemovePodSandbox', { pod_sandbox_id: next });
    expect(readdirSync(join(dir, 'root', 'restores'))).toEqual([]);
  });

  test('that does not go with its checkpoint is not restored at all', { timeout: 120_000 }, async () => {
    const { client, dir } = bed;
    const pod = await runPod('strict');
    const ids = [await start(pod, counter('one')), await start(pod, counter('two'))];
    for (const name of ['one', 'two']) await untilCounted('strict', name, 2);
    const checkpoint_path = join(dir, 'strict-checkpoint');
    mkdirSync(checkpoint_path);
    await client.call('CheckpointPod', {
      pod_sandbox_id: pod,
      output_path: checkpoint_path,
      container_ids: ids,
    });
    const before = await client.call('ListPodSandbox', {});
    const [one, two] = [counter('one'), counter('two')];
    const wrong: Readonly<Record<string, readonly ContainerConfigInit[]>> = {
      'one container is missing': [one],
      'one more': [one, two, counter('three')],
      'another command': [one, counter('two', { command: ['sleep', '9'] })],
      'another variable': [one, counter('two', { envs: [{ key: 'A', value: Buffer.from('b') }] })],
      'another folder': [one, counter('two', { working_dir: '/tmp' })],
      'another user': [one, counter('two', { linux: { security_context: { run_as_user: { value: 5n } } } })],
      'a log that no monitor writes': [one, counter('two', { log_path: 'a:b.log' })],
    };
    const restores = join(dir, 'root', 'restores');
    for (const [what, container_configs] of Object.entries(wrong)) {
      const request = { checkpoint_path, config: podConfig('strict-again'), container_configs };
      await expect(client.call('RestorePod', request), what).rejects.toMatchObject({
        code: status.INVALID_ARGUMENT,
      });
      expect(await client.call('ListPodSandbox', {}), what).toEqual(before);
      expect(existsSync(restores) ? readdirSync(restores) : [], what).toEqual([]);
    }
    const request = { checkpoint_path, config: podConfig('strict-again'), container_configs: [one, two] };
    await expect(client.call('RestorePod', { ...request, runtime_handler: 'runc' })).rejects.toMatchObject({
      code: status.FAILED_PRECONDITION,
      details: expect.stringContaining('made by crun'),
    });
    // The good one fails late: the images of the second container are damaged.
    writeFileSync(join(checkpoint_path, 'two', 'checkpoint', 'pstree.img'), 'nonsense');
    const { pod_sandbox_id: next, restored_containers } = await client.call('RestorePod', request);
    const [, second] = restored_containers;
    await expect(client.call('StartContainer', { container_id: second!.container_id })).rejects.toMatchObject(
      {
        details: expect.stringContaining('CRIU'),
      },
    );
    const { status: failed } = await client.call('ContainerStatus', { container_id: second!.container_id });
    expect(failed).toMatchObject({ state: 2, exit_code: 128, reason: 'StartError' });
    expect(groupsOf(second!.container_id)).toEqual([]);
    for (const pod_sandbox_id of [pod, next]) await client.call('RemovePodSandbox', { pod_sandbox_id });
    for (const { container_id } of restored_containers) expect(groupsOf(container_id)).toEqual([]);
    rmSync(checkpoint_path, { recursive: true });
  });
});

describe.skipIf(tools.obstacle !== undefined)('a checkpoint that fails', () => {
  let pod: string;
  let id: string;
  const name = 'survivor';

  beforeAll(async () => {
    pod = await runPod(name);
    id = await start(pod, counter(name));
    await untilCounted(name, name, 2);
  });

  afterAll(async () => {
    await bed.client.call('RemovePodSandbox', { pod_sandbox_id: pod });
  });

  function onFullDisk<T>(path: string, size: string, work: () => Promise<T>): Promise<T> {
    mkdirSync(path, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path]);
    return work().finally(() => execFileSync('umount', [path]));
  }

  test('for want of room, while it is captured or packed', { timeout: 60_000 }, async () => {
    const { client, dir } = bed;
    const location = join(dir, 'full', 'point.tar');
    await onFullDisk(join(dir, 'full'), '16k', async () => {
      await expect(client.call('CheckpointContainer', { container_id: id, location })).rejects.toMatchObject({
        details: expect.stringMatching(/No space|Wrote only/),
      });
      expect(readdirSync(join(dir, 'full'))).toEqual([]);
      await expectUnharmed(name, name, id);
    });
    await onFullDisk(join(dir, 'root', 'captures'), '64k', async () => {
      await expect(
        client.call('CheckpointContainer', { container_id: id, location: join(dir, 'point.tar') }),
      ).rejects.toMatchObject({ code: status.INTERNAL });
      await expectUnharmed(name, name, id);
    });
    await onFullDisk(join(dir, 'full'), '64k', async () => {
      const output_path = join(dir, 'full');
      await expect(
        client.call('CheckpointPod', { pod_sandbox_id: pod, output_path, container_ids: [id] }),
      ).rejects.toMatchObject({ code: status.INTERNAL });
      expect(readdirSync(output_path)).toEqual([]);
    });
    expect(existsSync(join(dir, 'point.tar'))).toBe(false);
    await expectUnharmed(name, name, id);
  });

  test('because somebody has paused it, and it stays so', async () => {
    const { client, dir } = bed;
    const admin = new AdminClient(join(dir, 'berth.sock'));
    try {
      await admin.call('PauseContainer', [{ container_id: id }]);
      const output_path = join(dir, 'paused');
      mkdirSync(output_path);
      for (const call of [
        client.call('CheckpointContainer', { container_id: id, location: join(dir, 'paused.tar') }),
        client.call('CheckpointPod', { pod_sandbox_id: pod, output_path, container_ids: [id] }),
      ])
        await expect(call).rejects.toMatchObject({
          code: status.FAILED_PRECONDITION,
          details: expect.stringContaining('paused'),
        });
      expect([readdirSync(output_path), existsSync(markOf(id))]).toEqual([[], false]);
      const [reply] = await admin.call('ListContainerDetails', [{}]);
      expect(reply).toMatchObject({ containers: [expect.objectContaining({ id, paused: true })] });
      await admin.call('UnpauseContainer', [{ container_id: id }]);
      await expectUnharmed(name, name, id);
    } finally {
      admin.close();
    }
  });

  test('because its time is over', { timeout: 60_000 }, async () => {
    const { client, dir } = bed;
    const location = join(dir, 'late.tar');
    for (const ms of [20, 60, 120]) {
      const deadline = Date.now() + ms;
      await expect(
        client.call('CheckpointContainer', { container_id: id, location }, { deadline }),
      ).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
      await expectUnharmed(name, name, id);
    }
    expect(readdirSync(dir).filter((entry) => entry.includes('late'))).toEqual([]);
  });

  test('because the daemon is killed: the next one lets the container go on', {
    timeout: 60_000,
  }, async () => {
    const { client, dir } = bed;
    const location = join(dir, 'killed.tar');
    const call = client.call('CheckpointContainer', { container_id: id, location });
    call.catch(() => {}); // the daemon goes away under it
    await expect.poll(() => existsSync(markOf(id)), { interval: 1 }).toBe(true);
    await bed.killAndRestart();
    await expect(call).rejects.toMatchObject({ code: status.UNAVAILABLE });
    await expectUnharmed(name, name, id);
    expect(await stateOf(id)).toBe(1);
    expect(readdirSync(dir).filter((entry) => entry.includes('killed'))).toEqual([]);
    await client.call('CheckpointContainer', { container_id: id, location });
    expect(existsSync(location)).toBe(true);
  });
});
