import { RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { CgroupStats } from '#host/cgroup-stats.ts';
import { cgroupLocation } from '../container/cgroup-location.ts';
import type { ContainerRecord } from '../container/record.ts';
import type { LifecycleEvent } from '../contract.ts';
import type { RecordStore } from '../record-store.ts';
import type { SandboxRecord } from '../sandbox/record.ts';
import type {
  ContainerStats,
  ContainerStatsFilter,
  MetricDescriptor,
  PodSandboxMetrics,
  PodSandboxStats,
  PodSandboxStatsFilter,
  ProcessFigures,
  StatsProvider,
} from '../stats-contract.ts';
import { CpuRates } from './cpu-rate.ts';
import {
  type FigureSources,
  type GroupFigures,
  networkFigures,
  noFigures,
  readGroup,
  sumGroups,
} from './figures.ts';
import { LayerScanner, type LayerUsage } from './layer-scanner.ts';
import { metricDescriptors } from './metric-table.ts';
import { containerMetrics, networkMetrics, readFilesystem } from './metrics.ts';
import { Pacer } from './pacer.ts';
import { podCgroup } from './pod-cgroup.ts';
import { podInterfaces } from './pod-network.ts';

export interface CgroupStatsProviderSettings {
  readonly sandboxes: RecordStore<SandboxRecord>;
  readonly containers: RecordStore<ContainerRecord>;
  /** Counts the writable layer of a container, as Snapshotter.usage does. */
  readonly layerUsage: (containerId: string) => Promise<LayerUsage>;
  /** A path on the file system that holds the writable layers. */
  readonly imageFsMountpoint: string;
  readonly cgroupVersion: 1 | 2;
  /** Unix nanoseconds, strictly increasing. */
  readonly clock: () => bigint;
  readonly log: Log;
  /** Elsewhere only in tests. */
  readonly cgroups?: CgroupStats;
}

/**
 * Figures from cgroup files, /proc and sysfs, read when somebody asks; writable layers are counted beforehand. Lists
 * read a few files per container and give the event loop back every few milliseconds. No child process, no lock, and a
 * container that cannot be read is left out without holding up the others.
 */
export class CgroupStatsProvider implements StatsProvider {
  readonly #settings: CgroupStatsProviderSettings;
  readonly #sources: FigureSources;
  readonly #rates = new CpuRates();
  readonly #layers: LayerScanner;

  constructor(settings: CgroupStatsProviderSettings) {
    this.#settings = settings;
    this.#sources = {
      cgroups: settings.cgroups ?? new CgroupStats(settings.cgroupVersion),
      rates: this.#rates,
      clock: settings.clock,
    };
    this.#layers = new LayerScanner({
      containers: settings.containers,
      usage: settings.layerUsage,
      mountpoint: settings.imageFsMountpoint,
      clock: settings.clock,
      log: settings.log,
    });
  }

  /** Begins counting writable layers. Subscribe `onEvent` to the announcer first. */
  start(): void {
    this.#layers.start();
  }

  stop(): void {
    this.#layers.stop();
  }

  readonly onEvent = (event: LifecycleEvent): void => {
    this.#layers.onEvent(event);
    if (event.type === 'deleted') this.#rates.forget(event.subjectId);
  };

  async containerStats(id: string): Promise<ContainerStats> {
    return this.#containerStats(this.#settings.containers.get(id));
  }

  async listContainerStats(filter?: ContainerStatsFilter): Promise<readonly ContainerStats[]> {
    await this.#layers.catchUp();
    const chosen = this.#settings.containers
      .list()
      .filter(
        (record) =>
          record.state !== 'creating' &&
          record.id.startsWith(filter?.id ?? '') &&
          record.sandboxId.startsWith(filter?.sandboxId ?? '') &&
          hasLabels(record.config.labels, filter?.labels),
      );
    return this.#each(chosen, this.#settings.containers, async (record) => this.#containerStats(record));
  }

  async podSandboxStats(id: string): Promise<PodSandboxStats> {
    const sandbox = this.#settings.sandboxes.get(id);
    if (sandbox.state !== 'ready')
      throw new RuntimeError(
        'Unavailable',
        `figures of sandbox ${sandbox.id}: it is ${sandbox.state}, only a ready one has figures`,
      );
    return this.#podStats(sandbox, this.#containersOf(sandbox), new Pacer());
  }

  async listPodSandboxStats(filter?: PodSandboxStatsFilter): Promise<readonly PodSandboxStats[]> {
    await this.#layers.catchUp();
    const chosen = this.#readySandboxes().filter(
      (record) => record.id.startsWith(filter?.id ?? '') && hasLabels(record.config.labels, filter?.labels),
    );
    const bySandbox = this.#containersBySandbox();
    return this.#each(chosen, this.#settings.sandboxes, (record, pacer) =>
      this.#podStats(record, bySandbox.get(record.id) ?? [], pacer),
    );
  }

  listMetricDescriptors(): readonly MetricDescriptor[] {
    return metricDescriptors;
  }

  async listPodSandboxMetrics(): Promise<readonly PodSandboxMetrics[]> {
    const filesystem = readFilesystem(this.#settings.imageFsMountpoint);
    const bySandbox = this.#containersBySandbox();
    const { clock } = this.#settings;
    const { cgroups } = this.#sources;
    return this.#each(this.#readySandboxes(), this.#settings.sandboxes, async (sandbox, pacer) => {
      const containers = bySandbox.get(sandbox.id) ?? [];
      const live = containers.filter((record) => record.state === 'created' || record.state === 'running');
      return {
        sandboxId: sandbox.id,
        metrics: networkMetrics(sandbox, podInterfaces(sandbox, containers) ?? []),
        containers: await this.#each(
          live,
          this.#settings.containers,
          async (container) => ({
            containerId: container.id,
            metrics: await containerMetrics(
              { container, sandbox, layer: this.#layers.find(container.id), filesystem, cgroups, clock },
              pacer,
            ),
          }),
          pacer,
        ),
      };
    });
  }

  /** Reads one subject after another, from its newest record; leaves out those that are gone or cannot be read. */
  async #each<R extends { readonly id: string }, T>(
    chosen: readonly R[],
    store: RecordStore<R>,
    read: (record: R, pacer: Pacer) => Promise<T>,
    pacer = new Pacer(),
  ): Promise<T[]> {
    const results: T[] = [];
    for (const { id } of chosen) {
      if (pacer.isDue()) await pacer.pause();
      const record = store.findExact(id);
      if (!record) continue;
      try {
        results.push(await read(record, pacer));
      } catch (error) {
        this.#settings.log.warn({ err: error, id }, 'figures left out of a list');
      }
    }
    return results;
  }

  #containerStats(container: ContainerRecord): ContainerStats {
    return { container, ...this.#containerGroup(container), writableLayer: this.#layers.find(container.id) };
  }

  #containerGroup(container: ContainerRecord): GroupFigures {
    if (container.state === 'exited' || container.state === 'creating') return noFigures;
    return readGroup(this.#sources, cgroupLocation(container.cgroupsPath), container.id);
  }

  async #podStats(
    sandbox: SandboxRecord,
    records: readonly ContainerRecord[],
    pacer: Pacer,
  ): Promise<PodSandboxStats> {
    const { clock } = this.#settings;
    const containers = await this.#each(
      records,
      this.#settings.containers,
      async (record) => this.#containerStats(record),
      pacer,
    );
    if (pacer.isDue()) await pacer.pause();
    const group = podCgroup(sandbox.config.cgroupParent);
    const own = group === undefined ? noFigures : readGroup(this.#sources, group, sandbox.id);
    const { cpu, memory, io } =
      own.cpu || own.memory ? own : sumGroups(containers, this.#sources, sandbox.id);
    const interfaces = podInterfaces(sandbox, records);
    return {
      sandbox,
      cpu,
      memory,
      io,
      network: interfaces && networkFigures(interfaces, clock()),
      process: this.#processes(group, containers),
      containers,
    };
  }

  #processes(group: string | undefined, containers: readonly ContainerStats[]): ProcessFigures {
    const { cgroups, clock } = this.#sources;
    let processCount = group === undefined ? undefined : cgroups.tasks(group);
    if (processCount === undefined) {
      processCount = 0n;
      for (const { container, cpu } of containers)
        if (cpu) processCount += cgroups.tasks(cgroupLocation(container.cgroupsPath)) ?? 0n;
    }
    return { timestampNs: clock(), processCount };
  }

  #readySandboxes(): SandboxRecord[] {
    return this.#settings.sandboxes.list().filter((record) => record.state === 'ready');
  }

  #containersOf(sandbox: SandboxRecord): ContainerRecord[] {
    return this.#containersBySandbox().get(sandbox.id) ?? [];
  }

  #containersBySandbox(): Map<string, ContainerRecord[]> {
    const bySandbox = new Map<string, ContainerRecord[]>();
    for (const record of this.#settings.containers.list()) {
      if (record.state === 'creating') continue;
      const siblings = bySandbox.get(record.sandboxId);
      if (siblings) siblings.push(record);
      else bySandbox.set(record.sandboxId, [record]);
    }
    return bySandbox;
  }
}

function hasLabels(
  labels: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>> | undefined,
): boolean {
  return Object.entries(wanted ?? {}).every(
    ([key, value]) => Object.hasOwn(labels, key) && labels[key] === value,
  );
}
