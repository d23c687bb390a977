import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import pino from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { detectCgroupLayout, groupDirectory, removeGroup } from '#host/cgroup.ts';
import { nowNs } from '#host/clock.ts';
import { findProcess } from '#host/proc.ts';
import { metricDescriptors } from './metric-table.ts';
import { CgroupStatsProvider } from './provider.ts';
import { containerRecord, idOf, recordStores, sandboxRecord } from './testing/records.ts';

const { version } = detectCgroupLayout();
const pod = `/berth-stats-test-${process.pid}`;
const group = `${pod}/${idOf('busy')}`;
const netns = `berth-stats-${process.pid}`;
const hostEnd = `bst${process.pid}`.slice(0, 15);
const controllers = version === 2 ? [''] : ['cpuacct', 'cpu', 'memory', 'pids', 'blkio', 'hugetlb'];
let processes: ChildProcess[] = [];
let provider: CgroupStatsProvider;
let stores: ReturnType<typeof recordStores>;

function join(pid: number): void {
  for (const controller of controllers)
    writeFileSync(`${groupDirectory(version, controller, group)}/cgroup.procs`, `${pid}`);
}

/** A child that is in the group, and in the namespace, before it runs its program. */
async function launch(...command: string[]): Promise<number> {
  const child = spawn('/bin/sh', ['-c', 'read go; exec "$@"', 'sh', ...command], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  processes.push(child);
  join(child.pid!);
  child.stdin!.write('\n');
  return child.pid!;
}

beforeEach(() => {
  for (const controller of controllers)
    mkdirSync(groupDirectory(version, controller, group), { recursive: true });
  // On v2 a group has figures of what its parent hands down.
  if (version === 2)
    for (const parent of ['/', pod])
      writeFileSync(`${groupDirectory(2, '', parent)}/cgroup.subtree_control`, '+cpu +memory +pids +io');
  stores = recordStores();
  provider = new CgroupStatsProvider({
    ...stores,
    layerUsage: async () => ({ usedBytes: 4096, inodesUsed: 3 }),
    imageFsMountpoint: tmpdir(),
    cgroupVersion: version,
    clock: nowNs,
    log: pino({ level: 'silent' }),
  });
  provider.start();
});

afterEach(async () => {
  provider.stop();
  const ends = processes.map((child) => new Promise((resolve) => child.once('exit', resolve)));
  for (const child of processes) child.kill('SIGKILL');
  await Promise.all(ends);
  processes = [];
  await expect.poll(() => removeGroup(version, pod)).toBe(true);
});

it('says what a running container and its pod use', async () => {
  const pid = await launch('/bin/sh', '-c', 'while :; do :; done');
  stores.sandboxes.put(sandboxRecord('pod', {}, pod));
  const record = containerRecord('busy', 'pod', { cgroupsPath: group, process: findProcess(pid) });
  stores.containers.put(record);
  provider.onEvent({ type: 'created', subjectId: record.id, sandboxId: record.sandboxId, atNs: 1n });

  const first = await provider.containerStats(record.id.slice(0, 12));
  expect(first.container).toBe(record);
  expect(first.cpu?.usageNanoCores).toBeUndefined();
  await expect
    .poll(async () => (await provider.containerStats(record.id)).memory?.workingSetBytes)
    .toBeGreaterThan(0n);
  expect(first.memory?.availableBytes).toBeUndefined();

  await expect.poll(async () => (await provider.containerStats(record.id)).cpu?.usageNanoCores).toBeDefined();
  const [second] = await provider.listContainerStats({
    id: '',
    sandboxId: record.sandboxId,
    labels: { app: 'busy' },
  });
  expect(second!.cpu!.timestampNs).toBeGreaterThan(first.cpu!.timestampNs);
  expect(second!.cpu!.usageCoreNanoSeconds).toBeGreaterThan(first.cpu!.usageCoreNanoSeconds!);
  expect(second!.cpu!.usageNanoCores).toBeGreaterThan(50_000_000n);
  expect(second!.cpu!.usageNanoCores).toBeLessThan(1_500_000_000n);
  expect(second!.writableLayer).toMatchObject({ usedBytes: 4096n, inodesUsed: 3n, mountpoint: tmpdir() });

  const [stats] = await provider.listPodSandboxStats();
  expect(stats!.process?.processCount).toBe(1n);
  expect(stats!.cpu!.usageCoreNanoSeconds).toBeGreaterThanOrEqual(second!.cpu!.usageCoreNanoSeconds!);
  expect(stats!.memory!.usageBytes).toBeGreaterThan(0n);
  expect(stats!.containers.map((each) => each.container.id)).toEqual([record.id]);
  expect(stats!.network).toBeUndefined();
});

it('says what is left of an exited container, and nothing of sandboxes that are not ready', async () => {
  stores.sandboxes.put(sandboxRecord('pod', { state: 'notReady' }));
  const record = containerRecord('over', 'pod', { state: 'exited', cgroupsPath: group });
  stores.containers.put(record);
  provider.onEvent({ type: 'stopped', subjectId: record.id, sandboxId: record.sandboxId, atNs: 1n });
  await expect.poll(async () => (await provider.containerStats(record.id)).writableLayer).toBeDefined();
  expect(await provider.containerStats(record.id)).toMatchObject({ cpu: undefined, memory: undefined });
  await expect(provider.podSandboxStats(idOf('pod'))).rejects.toMatchObject({ kind: 'Unavailable' });
  await expect(provider.podSandboxStats('ffff')).rejects.toMatchObject({ kind: 'NotFound' });
  await expect(provider.containerStats('')).rejects.toMatchObject({ kind: 'InvalidArgument' });
  expect(await provider.listPodSandboxStats()).toEqual([]);
  expect(await provider.listPodSandboxMetrics()).toEqual([]);
  expect(await provider.listContainerStats({ id: 'ffff', sandboxId: '', labels: {} })).toEqual([]);
});

it('counts the traffic of a pod from its processes, or from the host while it has none', async () => {
  const ip = (...command: string[]) => execFileSync('ip', command);
  ip('netns', 'add', netns);
  try {
    ip('link', 'add', hostEnd, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', netns);
    ip('addr', 'add', '198.51.100.1/30', 'dev', hostEnd);
    ip('link', 'set', hostEnd, 'up');
    ip('-n', netns, 'addr', 'add', '198.51.100.2/30', 'dev', 'eth0');
    ip('-n', netns, 'link', 'set', 'eth0', 'up');
    const netnsPath = `/run/netns/${netns}`;
    stores.sandboxes.put(
      sandboxRecord('pod', {
        netnsPath,
        cniResult: { interfaces: [{ name: hostEnd }, { name: 'eth0', sandbox: netnsPath }] },
      }),
    );
    // UDP to nobody, from the pod: what it sends is more than what it receives.
    execFileSync('ip', [
      'netns',
      'exec',
      netns,
      'bash',
      '-c',
      'for i in 1 2 3; do head -c 1000 /dev/zero > /dev/udp/198.51.100.1/9; done || :',
    ]);

    const fromHost = (await provider.podSandboxStats(idOf('pod'))).network!;
    expect(fromHost.interfaces.map((each) => each.name)).toEqual(['eth0']);
    expect(fromHost.defaultInterface!.txBytes).toBeGreaterThan(3000n);

    const pid = await launch('ip', 'netns', 'exec', netns, 'sleep', '60');
    await expect
      .poll(() => execFileSync('readlink', [`/proc/${pid}/exe`]).toString())
      .toMatch(/sleep|coreutils|busybox/);
    stores.containers.put(
      containerRecord('busy', 'pod', { state: 'created', cgroupsPath: group, process: findProcess(pid) }),
    );
    const fromProcess = (await provider.podSandboxStats(idOf('pod'))).network!;
    expect(fromProcess.interfaces.map((each) => each.name)).toEqual(['eth0']);
    expect(fromProcess.defaultInterface!.txBytes).toBeGreaterThanOrEqual(fromHost.defaultInterface!.txBytes);
    expect(fromProcess.defaultInterface!.txBytes).toBeGreaterThan(fromProcess.defaultInterface!.rxBytes);

    const { metrics } = (await provider.listPodSandboxMetrics())[0]!;
    expect(
      metrics.filter((metric) => metric.name === 'container_network_transmit_bytes_total'),
    ).toMatchObject([{ type: 'counter', labelValues: [idOf('pod'), '', 'default', 'pod', 'POD', 'eth0'] }]);
  } finally {
    for (const child of processes) child.kill('SIGKILL');
    ip('netns', 'delete', netns);
  }
});

it('has a row for every metric that this kernel keeps, with the labels of its descriptor', async () => {
  const pid = await launch('sleep', '60');
  await expect
    .poll(() => execFileSync('readlink', [`/proc/${pid}/exe`]).toString())
    .toMatch(/sleep|coreutils|busybox/);
  stores.sandboxes.put(sandboxRecord('pod', {}, pod));
  const record = containerRecord('busy', 'pod', { cgroupsPath: group, process: findProcess(pid) });
  stores.containers.put(record);
  provider.onEvent({ type: 'created', subjectId: record.id, sandboxId: record.sandboxId, atNs: 1n });
  await expect.poll(async () => (await provider.containerStats(record.id)).writableLayer).toBeDefined();

  const [sandbox] = await provider.listPodSandboxMetrics();
  const rows = sandbox!.containers[0]!.metrics;
  for (const descriptor of metricDescriptors)
    for (const row of rows.filter((each) => each.name === descriptor.name))
      expect([row.name, row.labelValues.length]).toEqual([row.name, descriptor.labelKeys.length]);

  const present = new Set<string>(rows.map((row) => row.name));
  const absent = metricDescriptors.map((each) => each.name).filter((name) => !present.has(name));
  // Without traffic of a pod, without devices used, without a quota; pressure only on version 2, the hugetlb peak only on 1.
  const mayBeAbsent = /_network_|_fs_(reads|writes)|_blkio_|_spec_cpu_quota|_pressure_|_hugetlb_/;
  expect(absent.filter((name) => !mayBeAbsent.test(name))).toEqual([]);
  const valueIn = (name: string) => rows.find((row) => row.name === name)!.value;
  expect(valueIn('container_processes')).toBe(1n);
  expect(valueIn('container_file_descriptors')).toBeGreaterThanOrEqual(3n);
  expect(valueIn('container_fs_usage_bytes')).toBe(4096n);
  expect(valueIn('container_fs_limit_bytes')).toBeGreaterThan(1_000_000n);
  expect(valueIn('container_ulimits_soft')).toBeGreaterThan(0n);
});
