/** What a pod gives its containers: namespaces, names, files, cgroups, ports. */
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { detectCgroupLayout, groupDirectory } from '#host/cgroup.ts';
import {
  ContainerState,
  type LinuxContainerResourcesInit,
  NamespaceMode,
  PodSandboxState,
} from '#proto/generated/cri.ts';
import { BehaviourBed, type Pod, until } from './bed.ts';

let bed: BehaviourBed;
let pod: Pod;

beforeAll(async () => {
  bed = await BehaviourBed.start();
  pod = await bed.runPod({ hostname: 'named', dns_config: { servers: ['10.96.0.10'] } });
});
afterAll(() => bed.close());

/** A pod with these namespace modes. */
const podWith = (namespace_options: { pid?: number; ipc?: number; network?: number }) =>
  bed.runPod({ linux: { cgroup_parent: bed.cgroupParent, security_context: { namespace_options } } });
const pidOf = async (id: string) => (await bed.info(id)).pid;
const namespaceOf = async (id: string, kind: string) => readlinkSync(`/proc/${await pidOf(id)}/ns/${kind}`);
const ownNamespace = (kind: string) => readlinkSync(`/proc/self/ns/${kind}`);

test('containers of a pod share network, IPC, host name and /dev/shm, and nothing else', async () => {
  const [a, b] = await Promise.all([bed.run(pod, 'a'), bed.run(pod, 'b')]);
  for (const kind of ['net', 'ipc', 'uts']) {
    expect(await namespaceOf(a, kind)).toBe(await namespaceOf(b, kind));
    expect(await namespaceOf(a, kind)).not.toBe(ownNamespace(kind));
  }
  for (const kind of ['pid', 'mnt']) expect(await namespaceOf(a, kind)).not.toBe(await namespaceOf(b, kind));
  expect(await bed.sh(a, 'hostname; cat /etc/hostname; echo $HOSTNAME')).toBe('named\nnamed\nnamed\n');
  await bed.sh(a, 'echo shared > /dev/shm/file');
  expect(
    await bed.sh(b, 'cat /dev/shm/file; stat -c %a /dev/shm; df -m /dev/shm | tail -1 | awk "{print \\$2}"'),
  ).toBe('shared\n1777\n64\n');
  await bed.call('RemoveContainer', { container_id: a });
  const again = await bed.run(pod, 'a-again');
  expect(await bed.sh(again, 'cat /dev/shm/file')).toBe('shared\n');
  expect(await bed.sh(again, 'ip link show lo | grep -c UP')).toBe('1\n');
});

test('a shared PID namespace has the pod’s init, and shows every container’s processes', async () => {
  const shared = await podWith({ pid: NamespaceMode.POD });
  const [a, b] = await Promise.all([
    bed.run(shared, 'a', { command: ['sleep', '1001'] }),
    bed.run(shared, 'b', { command: ['sleep', '1002'] }),
  ]);
  expect(await namespaceOf(a, 'pid')).toBe(await namespaceOf(b, 'pid'));
  const seen = await bed.sh(a, 'ps -o pid,args');
  expect(seen).toMatch(/sleep 1001/);
  expect(seen).toMatch(/sleep 1002/);
  expect(await bed.sh(a, 'cat /proc/1/comm')).not.toMatch(/sleep/);
  // With the init dies the namespace and all that is in it.
  const init = Number(readFileSync(join(bed.dir, 'run', 'bundles', shared.id, 'container.pid'), 'utf8'));
  process.kill(init, 'SIGKILL');
  for (const id of [a, b]) expect((await bed.ended(id)).exit_code).toBe(137);
  const state = async () => (await bed.call('PodSandboxStatus', { pod_sandbox_id: shared.id })).status?.state;
  await until(
    async () => ((await state()) === PodSandboxState.SANDBOX_NOTREADY ? true : undefined),
    3000,
    'the pod not being ready',
  );
  await bed.removePod(shared);
});

test('a container may join the PID namespace of another one that runs in its pod', async () => {
  const target = await bed.run(pod, 'target', { command: ['sleep', '1003'] });
  const targeting = (target_id: string) => ({
    linux: { security_context: { namespace_options: { pid: NamespaceMode.TARGET, target_id } } },
  });
  const debug = await bed.run(pod, 'debug', targeting(target));
  expect(await namespaceOf(debug, 'pid')).toBe(await namespaceOf(target, 'pid'));
  expect(await bed.sh(debug, 'cat /proc/1/cmdline | tr "\\0" " "')).toBe('sleep 1003 ');
  // It is stopped alone.
  await bed.call('StopContainer', { container_id: debug, timeout: 0n });
  expect((await bed.status(target)).state).toBe(ContainerState.CONTAINER_RUNNING);
  await bed.call('StopContainer', { container_id: target, timeout: 0n });
  await expect(bed.create(pod, 'late', targeting(target))).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
  });
  await expect(bed.create(pod, 'lost', targeting('f'.repeat(64)))).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
  const elsewhere = await bed.runPod();
  const foreign = await bed.run(elsewhere, 'foreign');
  await expect(bed.create(pod, 'foreign', targeting(foreign))).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
  await bed.removePod(elsewhere);
});

test('a pod may live in the node’s namespaces, and only then may its containers', async () => {
  const node = await podWith({
    network: NamespaceMode.NODE,
    ipc: NamespaceMode.NODE,
    pid: NamespaceMode.NODE,
  });
  const id = await bed.run(node, 'node');
  for (const kind of ['net', 'ipc', 'uts', 'pid'])
    expect(await namespaceOf(id, kind)).toBe(ownNamespace(kind));
  expect(await bed.sh(id, 'hostname')).toBe(`${hostname()}\n`);
  expect(await bed.sh(id, `cat /proc/${bed.pid}/comm`)).not.toBe('');
  const { status } = await bed.call('PodSandboxStatus', { pod_sandbox_id: node.id });
  expect(status).toMatchObject({
    network: { ip: '', additional_ips: [] },
    linux: { namespaces: { options: { network: NamespaceMode.NODE, pid: NamespaceMode.NODE } } },
  });
  await bed.removePod(node);
  for (const kind of ['network', 'ipc', 'pid'])
    await expect(
      bed.create(pod, 'climber', {
        linux: {
          security_context: {
            namespace_options: { pid: NamespaceMode.CONTAINER, [kind]: NamespaceMode.NODE },
          },
        },
      }),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('sysctls of a pod are set in its namespaces, others are refused', async () => {
  const sysctls = {
    'kernel.shm_rmid_forced': '1',
    'net.ipv4.ip_local_port_range': '2000 3000',
    'fs.mqueue.msg_max': '7',
  };
  const tuned = await bed.runPod({ linux: { cgroup_parent: bed.cgroupParent, sysctls } });
  const id = await bed.run(tuned, 'tuned');
  const read = await bed.sh(
    id,
    `cd /proc/sys; cat ${Object.keys(sysctls)
      .map((name) => name.replaceAll('.', '/'))
      .join(' ')}`,
  );
  expect(read.replaceAll('\t', ' ')).toBe('1\n2000 3000\n7\n');
  expect(await bed.sh(id, 'cat /proc/sys/net/ipv4/ip_unprivileged_port_start')).toBe('0\n');
  await bed.removePod(tuned);
  for (const bad of [
    { 'kernel.panic': '1' },
    { 'vm.swappiness': '1' },
    { 'net.ipv4.no_such_thing': '1' },
    { 'net.ipv4.ip_local_port_range': 'words' },
    { 'net.../.../kernel.panic': '1' },
  ])
    await expect(
      bed.runPod({ linux: { cgroup_parent: bed.cgroupParent, sysctls: bad } }),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('resolv.conf: as asked for, empty, or the node’s', async () => {
  const full = {
    servers: ['10.0.0.1', 'fd00::1'],
    searches: ['a.local', 'b'],
    options: ['ndots:5', 'edns0'],
  };
  const [asked, empty, node] = await Promise.all([
    bed.runPod({ dns_config: full }),
    bed.runPod({ dns_config: {} }),
    bed.runPod(),
  ]);
  const read = async (home: Pod) => bed.sh(await bed.run(home, 'reader'), 'cat /etc/resolv.conf');
  expect(await read(asked)).toBe(
    'search a.local b\nnameserver 10.0.0.1\nnameserver fd00::1\noptions ndots:5 edns0\n',
  );
  expect(await read(empty)).toBe('');
  expect(await read(node)).toBe(
    existsSync('/etc/resolv.conf') ? readFileSync('/etc/resolv.conf', 'utf8') : '',
  );
  await Promise.all([asked, empty, node].map((home) => bed.removePod(home)));
});

test('containers stand below the cgroup of the pod, which must suit the driver', async () => {
  const parent = `${bed.cgroupParent}/deeper`;
  const deep = await bed.runPod({ linux: { cgroup_parent: parent } });
  const id = await bed.run(deep, 'deep');
  expect((await bed.info(id)).runtimeSpec.linux.cgroupsPath).toBe(`${parent}/${id}`);
  const { version } = detectCgroupLayout();
  const group = groupDirectory(version, 'pids', `${parent}/${id}`);
  expect(readFileSync(join(group, 'cgroup.procs'), 'utf8')).toContain(String(await pidOf(id)));
  // Nothing of ours but the containers, not even the monitor: the kubelet waits for it to be empty.
  expect(readFileSync(join(groupDirectory(version, 'pids', parent), 'cgroup.procs'), 'utf8')).toBe('');
  await bed.removePod(deep);
  expect(existsSync(group)).toBe(false);
  for (const cgroup_parent of ['/a/b.slice', '/a/../b', '../b'])
    await expect(bed.runPod({ linux: { cgroup_parent } })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
});

test('limits change while the container runs, and are reported as asked for', async () => {
  const resources: LinuxContainerResourcesInit = {
    cpu_period: 100_000n,
    cpu_quota: 50_000n,
    cpu_shares: 512n,
    memory_limit_in_bytes: BigInt(64 << 20),
  };
  const id = await bed.run(pod, 'limited', { linux: { resources } });
  const { version } = detectCgroupLayout();
  const path = (await bed.info(id)).runtimeSpec.linux.cgroupsPath;
  const read = (controller: string, v1: string, v2: string) =>
    readFileSync(join(groupDirectory(version, controller, path), version === 1 ? v1 : v2), 'utf8').trim();
  const limits = () => [
    read('cpu', 'cpu.cfs_quota_us', 'cpu.max').split(' ')[0],
    read('memory', 'memory.limit_in_bytes', 'memory.max'),
  ];
  expect(limits()).toEqual(['50000', String(64 << 20)]);
  await bed.call('UpdateContainerResources', {
    container_id: id,
    linux: { cpu_quota: 20_000n, memory_limit_in_bytes: BigInt(96 << 20) },
  });
  expect(limits()).toEqual(['20000', String(96 << 20)]);
  expect((await bed.status(id)).resources?.linux).toMatchObject({
    cpu_period: 100_000n,
    cpu_quota: 20_000n,
    cpu_shares: 512n,
    memory_limit_in_bytes: BigInt(96 << 20),
  });
  // Many at once end with one of them, whole.
  await Promise.all(
    [30_000n, 40_000n, 60_000n].map((cpu_quota) =>
      bed.call('UpdateContainerResources', { container_id: id, linux: { cpu_quota } }),
    ),
  );
  expect(limits()[0]).toBe(String((await bed.status(id)).resources?.linux?.cpu_quota));
  await bed.call('StopContainer', { container_id: id, timeout: 0n });
  await bed.call('UpdateContainerResources', { container_id: id, linux: { cpu_shares: 1024n } });
  expect((await bed.status(id)).resources?.linux?.cpu_shares).toBe(1024n);
  await expect(
    bed.call('UpdateContainerResources', { container_id: 'f'.repeat(64), linux: {} }),
  ).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

/** The first words that a TCP server says; undefined if there is none. */
function ask(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 2000 });
    socket.on('data', (data) => {
      resolve(data.toString());
      socket.destroy();
    });
    socket.on('timeout', () => socket.destroy());
    socket.on('error', () => {});
    socket.on('close', () => resolve(undefined));
  });
}

test('a host port leads to the pod until the pod is gone', async () => {
  const port = 20_000 + (process.pid % 20_000);
  const served = await bed.runPod({
    port_mappings: [{ container_port: 8080, host_port: port }, { container_port: 9090 }],
  });
  await bed.run(served, 'server', { command: ['nc', '-ll', '-p', '8080', '-e', 'echo', 'hello'] });
  const { status } = await bed.call('PodSandboxStatus', { pod_sandbox_id: served.id });
  const ip = status?.network?.ip ?? '';
  await until(() => ask(ip, 8080), 5000, 'the server');
  expect(await ask('127.0.0.1', port)).toBe('hello\n');
  await bed.call('StopPodSandbox', { pod_sandbox_id: served.id });
  expect(await ask('127.0.0.1', port)).toBeUndefined();
  await bed.removePod(served);
});
