/**
 * Figures of containers and pods: what the outside face may ask, and the plain data it gets. `runtime/stats` answers.
 *
 * A figure that is `undefined` is unknown (the kernel, the cgroup version or the state of the container has none), which is
 * not the same as 0. Counters count from the making of the thing counted and are bigint; gauges of bytes and processes
 * stay below 2^53 and are bigint too, because every one of them ends in a 64-bit field. Every group of figures has the
 * Unix time, in nanoseconds and never 0, at which it was read; for one subject these times strictly increase.
 *
 * Reads take figures from kernel files and memory, never from a process or a lock, and a subject that vanishes meanwhile
 * is left out of lists. Source: CRI api.proto, ContainerStats, PodSandboxStats, MetricDescriptor, PodSandboxMetrics.
 */
import type { InterfaceCounters } from '#host/net-stats.ts';
import type { Pressure } from '#host/pressure.ts';
import type { ContainerRecord } from './container/record.ts';
import type { SandboxRecord } from './sandbox/record.ts';

export type { Pressure, PressureLine } from '#host/pressure.ts';

export interface CpuFigures {
  readonly timestampNs: bigint;
  /** Core nanoseconds used since the cgroup was made. */
  readonly usageCoreNanoSeconds: bigint | undefined;
  /** Core nanoseconds per second over the time since an earlier question; undefined at the first one. */
  readonly usageNanoCores: bigint | undefined;
  readonly pressure: Pressure | undefined;
}

export interface MemoryFigures {
  readonly timestampNs: bigint;
  readonly workingSetBytes: bigint | undefined;
  /** Limit less working set; undefined without a limit. */
  readonly availableBytes: bigint | undefined;
  readonly usageBytes: bigint | undefined;
  readonly rssBytes: bigint | undefined;
  readonly pageFaults: bigint | undefined;
  readonly majorPageFaults: bigint | undefined;
  readonly pressure: Pressure | undefined;
}

export interface SwapFigures {
  readonly timestampNs: bigint;
  /** Swap limit less swap usage; undefined without a limit. */
  readonly availableBytes: bigint | undefined;
  readonly usageBytes: bigint | undefined;
}

export interface IoFigures {
  readonly timestampNs: bigint;
  readonly pressure: Pressure;
}

export interface ProcessFigures {
  readonly timestampNs: bigint;
  readonly processCount: bigint | undefined;
}

export interface WritableLayerFigures {
  /** When the layer was last counted, which may be a minute ago. */
  readonly timestampNs: bigint;
  /** A path on the file system that holds it. */
  readonly mountpoint: string;
  readonly usedBytes: bigint;
  readonly inodesUsed: bigint;
}

/** Counters of one interface as seen from inside the pod. */
export type InterfaceFigures = InterfaceCounters;

export interface NetworkFigures {
  readonly timestampNs: bigint;
  /** eth0, else the first of `interfaces`. */
  readonly defaultInterface: InterfaceFigures | undefined;
  /** All but lo, the default one among them. */
  readonly interfaces: readonly InterfaceFigures[];
}

export interface ContainerStats {
  /** The record that stood when the figures were read: id, metadata, labels and annotations are in it. */
  readonly container: ContainerRecord;
  /** This and the next three are undefined unless the container is created or running. */
  readonly cpu: CpuFigures | undefined;
  readonly memory: MemoryFigures | undefined;
  readonly swap: SwapFigures | undefined;
  /** Only where the kernel keeps pressure per cgroup. */
  readonly io: IoFigures | undefined;
  /** undefined until first counted. */
  readonly writableLayer: WritableLayerFigures | undefined;
}

export interface PodSandboxStats {
  readonly sandbox: SandboxRecord;
  /** Of the pod's cgroup; without one, the sum over its containers. */
  readonly cpu: CpuFigures | undefined;
  readonly memory: MemoryFigures | undefined;
  readonly io: IoFigures | undefined;
  /** undefined for pods on the host's network. */
  readonly network: NetworkFigures | undefined;
  readonly process: ProcessFigures | undefined;
  readonly containers: readonly ContainerStats[];
}

/** Filters are ANDed; '' and {} mean "any". `id` and `sandboxId` may be unique prefixes; an unknown one fits nothing. */
export interface ContainerStatsFilter {
  readonly id: string;
  readonly sandboxId: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface PodSandboxStatsFilter {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
}

export type MetricType = 'counter' | 'gauge';

export interface MetricDescriptor {
  readonly name: string;
  readonly help: string;
  /** `labelValues` of every metric of this name follow this order. */
  readonly labelKeys: readonly string[];
}

export interface Metric {
  readonly name: string;
  /** 0n: read live. */
  readonly timestampNs: bigint;
  readonly type: MetricType;
  readonly labelValues: readonly string[];
  readonly value: bigint;
}

export interface ContainerMetrics {
  readonly containerId: string;
  readonly metrics: readonly Metric[];
}

export interface PodSandboxMetrics {
  readonly sandboxId: string;
  /** Of the pod itself, network counters among them. */
  readonly metrics: readonly Metric[];
  readonly containers: readonly ContainerMetrics[];
}

export interface StatsProvider {
  /** Throws NotFound, InvalidArgument (empty id), FailedPrecondition (ambiguous prefix). Exited: no cpu and no memory. */
  containerStats(id: string): Promise<ContainerStats>;
  /** Containers being made are left out, exited ones are in with what is left to say of them. */
  listContainerStats(filter?: ContainerStatsFilter): Promise<readonly ContainerStats[]>;
  /** As `containerStats`, and Unavailable for a sandbox that is not ready. */
  podSandboxStats(id: string): Promise<PodSandboxStats>;
  /** Ready sandboxes only. */
  listPodSandboxStats(filter?: PodSandboxStatsFilter): Promise<readonly PodSandboxStats[]>;
  /** The same list for the life of the daemon. */
  listMetricDescriptors(): readonly MetricDescriptor[];
  /** Ready sandboxes with their created and running containers; names and labels as described above. */
  listPodSandboxMetrics(): Promise<readonly PodSandboxMetrics[]>;
}
