/** The values behind the metric table (KEP-2371, CRI ListPodSandboxMetrics). A value that the kernel does not give has no row. */
import { statfsSync, statSync } from 'node:fs';
import { blockDeviceName, readBlockDevices, readHugePages } from '#host/cgroup-devices.ts';
import type { CgroupStats } from '#host/cgroup-stats.ts';
import type { InterfaceCounters } from '#host/net-stats.ts';
import { isSocket, listOpenFiles, openFilesLimit } from '#host/process-stats.ts';
import { cgroupLocation } from '../container/cgroup-location.ts';
import type { ContainerRecord } from '../container/record.ts';
import type { SandboxRecord } from '../sandbox/record.ts';
import type { Metric, WritableLayerFigures } from '../stats-contract.ts';
import { workingSet } from './figures.ts';
import { type MetricName, metricTable } from './metric-table.ts';
import type { Pacer } from './pacer.ts';

/** The file system that holds the writable layers of all containers. */
export interface FilesystemFacts {
  readonly device: string;
  readonly sizeBytes: bigint;
  readonly inodes: bigint;
  readonly freeInodes: bigint;
}

/** undefined when nothing is at `mountpoint`. */
export function readFilesystem(mountpoint: string): FilesystemFacts | undefined {
  try {
    const facts = statfsSync(mountpoint, { bigint: true });
    const device = statSync(mountpoint, { bigint: true }).dev;
    // The layout of dev_t in glibc: twelve bits of major above eight of minor, the rest of each higher up.
    const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
    const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn);
    return {
      device: blockDeviceName(`${major}:${minor}`),
      sizeBytes: facts.blocks * facts.bsize,
      inodes: facts.files,
      freeInodes: facts.ffree,
    };
  } catch {
    return undefined; // the store is not there: no figures of it
  }
}

/** Rows of one subject: the values of its base labels are the same on all. */
class Rows {
  readonly metrics: Metric[] = [];
  readonly #baseValues: readonly string[];

  constructor(baseValues: readonly string[]) {
    this.#baseValues = baseValues;
  }

  /** `labels` in the order of the table. No row for a value that is unknown. */
  add(name: MetricName, value: bigint | undefined, ...labels: string[]): void {
    if (value === undefined) return;
    const labelValues = labels.length === 0 ? this.#baseValues : [...this.#baseValues, ...labels];
    // Every value is read now, which timestamp 0 says.
    this.metrics.push({ name, timestampNs: 0n, type: metricTable[name].type, labelValues, value });
  }
}

function seconds(nanoseconds: bigint | undefined): bigint | undefined {
  return nanoseconds === undefined ? undefined : nanoseconds / 1_000_000_000n;
}

/** Rows of the pod itself. There is no pause image to name; the container is called POD, as dashboards expect. */
export function networkMetrics(sandbox: SandboxRecord, interfaces: readonly InterfaceCounters[]): Metric[] {
  const { name, namespace } = sandbox.config.metadata;
  const rows = new Rows([sandbox.id, '', namespace, name, 'POD']);
  for (const each of interfaces) {
    rows.add('container_network_receive_bytes_total', each.rxBytes, each.name);
    rows.add('container_network_receive_packets_total', each.rxPackets, each.name);
    rows.add('container_network_receive_packets_dropped_total', each.rxDropped, each.name);
    rows.add('container_network_receive_errors_total', each.rxErrors, each.name);
    rows.add('container_network_transmit_bytes_total', each.txBytes, each.name);
    rows.add('container_network_transmit_packets_total', each.txPackets, each.name);
    rows.add('container_network_transmit_packets_dropped_total', each.txDropped, each.name);
    rows.add('container_network_transmit_errors_total', each.txErrors, each.name);
  }
  return rows.metrics;
}

export interface ContainerMetricSources {
  readonly container: ContainerRecord;
  readonly sandbox: SandboxRecord;
  readonly layer: WritableLayerFigures | undefined;
  readonly filesystem: FilesystemFacts | undefined;
  readonly cgroups: CgroupStats;
  readonly clock: () => bigint;
}

/** Rows of one created or running container; the event loop is given back while its open files are counted. */
export async function containerMetrics(sources: ContainerMetricSources, pacer: Pacer): Promise<Metric[]> {
  const { container, sandbox, cgroups } = sources;
  const { name, namespace } = sandbox.config.metadata;
  const image = container.config.image.userSpecifiedImage || container.imageName;
  const rows = new Rows([container.id, image, namespace, name, container.config.metadata.name]);
  const group = cgroupLocation(container.cgroupsPath);
  addCpu(rows, container, cgroups, group);
  addMemory(rows, cgroups, group);
  addPressure(rows, cgroups, group);
  addStorage(rows, sources, group);
  addTimes(rows, sources);
  await addTasks(rows, container, cgroups, group, pacer);
  return rows.metrics;
}

function addCpu(rows: Rows, container: ContainerRecord, cgroups: CgroupStats, group: string): void {
  const cpu = cgroups.cpuDetail(group);
  rows.add('container_cpu_user_seconds_total', seconds(cpu.userNs));
  rows.add('container_cpu_system_seconds_total', seconds(cpu.systemNs));
  rows.add('container_cpu_usage_seconds_total', seconds(cpu.usageNs));
  rows.add('container_cpu_cfs_periods_total', cpu.periods);
  rows.add('container_cpu_cfs_throttled_periods_total', cpu.throttledPeriods);
  rows.add('container_cpu_cfs_throttled_seconds_total', seconds(cpu.throttledNs));
  rows.add('container_spec_cpu_period', cpu.periodUs);
  rows.add('container_spec_cpu_quota', cpu.quotaUs);
  // The weight of cgroup v2 comes from shares by a formula that differs between runtimes: only the request is certain.
  const requested = container.resources?.cpuShares ?? 0;
  rows.add('container_spec_cpu_shares', requested > 0 ? BigInt(requested) : cpu.shares);
}

function addMemory(rows: Rows, cgroups: CgroupStats, group: string): void {
  const memory = cgroups.memory(group);
  if (!memory) return; // the group is gone
  const detail = cgroups.memoryDetail(group);
  rows.add('container_memory_cache', memory.cacheBytes);
  rows.add('container_memory_rss', memory.anonBytes);
  rows.add('container_memory_kernel_usage', detail.kernelBytes);
  rows.add('container_memory_mapped_file', memory.mappedFileBytes);
  rows.add('container_memory_swap', memory.swapBytes ?? 0n);
  rows.add('container_memory_failcnt', detail.limitHits);
  rows.add('container_memory_usage_bytes', memory.usageBytes);
  rows.add('container_memory_max_usage_bytes', detail.maxUsageBytes);
  rows.add('container_memory_working_set_bytes', workingSet(memory.usageBytes, memory.inactiveFileBytes));
  rows.add('container_memory_total_active_file_bytes', memory.activeFileBytes);
  rows.add('container_memory_total_inactive_file_bytes', memory.inactiveFileBytes);
  // The figures include groups below the container's, so both scopes are the same.
  for (const scope of ['container', 'hierarchy']) {
    rows.add('container_memory_failures_total', memory.pageFaults, 'pgfault', scope);
    rows.add('container_memory_failures_total', memory.majorPageFaults, 'pgmajfault', scope);
  }
  rows.add('container_oom_events_total', detail.oomKills);
  rows.add('container_spec_memory_limit_bytes', memory.limitBytes ?? 0n);
  rows.add('container_spec_memory_reservation_limit_bytes', detail.reservationBytes ?? 0n);
  rows.add('container_spec_memory_swap_limit_bytes', detail.swapLimitBytes ?? 0n);
}

function addPressure(rows: Rows, cgroups: CgroupStats, group: string): void {
  for (const kind of ['cpu', 'memory', 'io'] as const) {
    const pressure = cgroups.pressure(kind, group);
    rows.add(`container_pressure_${kind}_stalled_seconds_total`, seconds(pressure?.full?.totalNs));
    rows.add(`container_pressure_${kind}_waiting_seconds_total`, seconds(pressure?.some?.totalNs));
  }
}

function addStorage(rows: Rows, sources: ContainerMetricSources, group: string): void {
  const { filesystem, layer, cgroups } = sources;
  if (filesystem) {
    rows.add('container_fs_inodes_free', filesystem.freeInodes, filesystem.device);
    rows.add('container_fs_inodes_total', filesystem.inodes, filesystem.device);
    rows.add('container_fs_limit_bytes', filesystem.sizeBytes, filesystem.device);
    rows.add('container_fs_usage_bytes', layer?.usedBytes, filesystem.device);
  }
  for (const { major, minor, bytes, requests } of readBlockDevices(cgroups, group)) {
    const device = blockDeviceName(`${major}:${minor}`);
    rows.add('container_fs_reads_bytes_total', bytes.Read, device);
    rows.add('container_fs_reads_total', requests.Read, device);
    rows.add('container_fs_writes_bytes_total', bytes.Write, device);
    rows.add('container_fs_writes_total', requests.Write, device);
    for (const operation of ['Read', 'Write', 'Discard'] as const)
      rows.add('container_blkio_device_usage_total', bytes[operation], device, major, minor, operation);
  }
  for (const { pageSize, usageBytes, maxUsageBytes } of readHugePages(cgroups, group)) {
    rows.add('container_hugetlb_usage_bytes', usageBytes, pageSize);
    rows.add('container_hugetlb_max_usage_bytes', maxUsageBytes, pageSize);
  }
}

function addTimes(rows: Rows, { container, clock }: ContainerMetricSources): void {
  rows.add('container_last_seen', seconds(clock()));
  // A container that was not started yet began when it was created.
  rows.add('container_start_time_seconds', seconds(container.startedAtNs || container.createdAtNs));
}

async function addTasks(
  rows: Rows,
  container: ContainerRecord,
  cgroups: CgroupStats,
  group: string,
  pacer: Pacer,
): Promise<void> {
  const pids = cgroups.processes(group);
  let files = 0;
  let sockets = 0;
  for (const pid of pids) {
    for (const file of listOpenFiles(pid)) {
      files++;
      if (isSocket(pid, file)) sockets++;
      if (pacer.isDue()) await pacer.pause();
    }
  }
  rows.add('container_processes', BigInt(pids.length));
  rows.add('container_threads', cgroups.tasks(group));
  rows.add('container_threads_max', cgroups.maxTasks(group) ?? 0n);
  rows.add('container_file_descriptors', BigInt(files));
  rows.add('container_sockets', BigInt(sockets));
  const first = container.process?.pid;
  rows.add(
    'container_ulimits_soft',
    first === undefined ? undefined : openFilesLimit(first),
    'max_open_files',
  );
}
