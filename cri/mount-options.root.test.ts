/** Mount.mount_options of cri-api v0.37: seen by the kernel, told by the status, kept from lifting anything. */
import { chmodSync, copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DaemonBed, openDaemonBed, testImage } from './testing/daemon-bed.ts';

let bed: DaemonBed;

beforeAll(async () => {
  bed = await openDaemonBed();
  await bed.client.call('PullImage', { image: { image: testImage } });
});

afterAll(async () => {
  expect(await bed.close()).toEqual([]);
});

test('Status says that they are applied', async () => {
  expect((await bed.client.call('Status', {})).features?.mount_options).toBe(true);
});

test.for(['crun', 'runc'])('with %s a mount gets the options that its request names', async (handler) => {
  const { client, dir } = bed;
  const data = join(dir, `data-${handler}`);
  mkdirSync(data);
  copyFileSync('/bin/true', join(data, 'program'));
  chmodSync(join(data, 'program'), 0o755);
  const { pod_sandbox_id } = await client.call('RunPodSandbox', {
    config: { metadata: { name: handler, uid: handler, namespace: 'options' } },
    runtime_handler: handler,
  });
  const restricted = ['noexec', 'nosuid', 'nodev', 'noatime'];
  const mounts = [
    { host_path: data, container_path: '/restricted', mount_options: restricted },
    { host_path: data, container_path: '/readonly', readonly: true, mount_options: ['noexec'] },
    { host_path: data, container_path: '/plain' },
    { image: { image: testImage }, container_path: '/image', readonly: true, mount_options: ['noexec'] },
  ];
  const { container_id } = await client.call('CreateContainer', {
    pod_sandbox_id,
    config: { metadata: { name: 'main' }, image: { image: testImage }, command: ['sleep', '600'], mounts },
  });
  await client.call('StartContainer', { container_id });
  const run = async (...cmd: string[]) => {
    const { stdout, stderr, exit_code } = await client.call('ExecSync', { container_id, cmd, timeout: 20n });
    return { text: `${stdout}${stderr}`, exit_code };
  };

  const table = new Map(
    (await run('cat', '/proc/self/mounts')).text
      .split('\n')
      .map((line) => line.split(' '))
      .map((words) => [words[1], words[3]?.split(',') ?? []]),
  );
  expect(table.get('/restricted')).toEqual(expect.arrayContaining([...restricted, 'rw']));
  expect(table.get('/readonly')).toEqual(expect.arrayContaining(['noexec', 'ro']));
  expect(table.get('/plain')).not.toEqual(expect.arrayContaining(['noexec']));
  expect(table.get('/image')).toEqual(expect.arrayContaining(['noexec', 'ro']));
  expect(await run('sh', '-c', '/restricted/program')).toMatchObject({
    exit_code: 126,
    text: expect.stringContaining('Permission denied'),
  });
  expect((await run('sh', '-c', '/image/bin/busybox true')).exit_code).toBe(126);

  const { status } = await client.call('ContainerStatus', { container_id });
  expect(status?.mounts.map((mount) => mount.mount_options)).toEqual([
    restricted,
    ['noexec'],
    [],
    ['noexec'],
  ]);
  await client.call('RemovePodSandbox', { pod_sandbox_id });
});
