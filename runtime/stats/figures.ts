/** Readings of cgroups as the figures of the contract: what is derived from what (working set, available, sums). */
import type { CgroupStats } from '#host/cgroup-stats.ts';
import type { InterfaceCounters } from '#host/net-stats.ts';
import type { CpuFigures, IoFigures, MemoryFigures, NetworkFigures, SwapFigures } from '../stats-contract.ts';
import type { CpuRates } from './cpu-rate.ts';

export interface GroupFigures {
  readonly cpu: CpuFigures | undefined;
  readonly memory: MemoryFigures | undefined;
  readonly swap: SwapFigures | undefined;
  readonly io: IoFigures | undefined;
}

export const noFigures: GroupFigures = { cpu: undefined, memory: undefined, swap: undefined, io: undefined };

export interface FigureSources {
  readonly cgroups: CgroupStats;
  readonly rates: CpuRates;
  /** Unix nanoseconds, strictly increasing. */
  readonly clock: () => bigint;
}

/** Bytes that cannot be had back without swapping or killing: what eviction looks at. */
export function workingSet(usageBytes: bigint, inactiveFileBytes: bigint): bigint {
  return usageBytes > inactiveFileBytes ? usageBytes - inactiveFileBytes : 0n;
}

/** The figures of one group; each is undefined when the group is gone. `key` tells rates of different subjects apart. */
export function readGroup(sources: FigureSources, group: string, key: string): GroupFigures {
  const { cgroups, rates, clock } = sources;
  const cpu = cgroups.cpu(group);
  const cpuAtNs = clock();
  const memory = cgroups.memory(group);
  if (!cpu && !memory) return noFigures;
  const memoryAtNs = clock();
  const swap = memory && cgroups.swap(group, memory);
  const ioPressure = cgroups.pressure('io', group);
  return {
    cpu: cpu && {
      timestampNs: cpuAtNs,
      usageCoreNanoSeconds: cpu.usageNs,
      usageNanoCores: rates.observe(key, cpuAtNs, cpu.usageNs),
      pressure: cgroups.pressure('cpu', group),
    },
    memory: memory && memoryFigures(memory, memoryAtNs, cgroups.pressure('memory', group)),
    swap: swap && { timestampNs: memoryAtNs, ...swap },
    io: ioPressure && { timestampNs: clock(), pressure: ioPressure },
  };
}

function memoryFigures(
  reading: NonNullable<ReturnType<CgroupStats['memory']>>,
  timestampNs: bigint,
  pressure: MemoryFigures['pressure'],
): MemoryFigures {
  const workingSetBytes = workingSet(reading.usageBytes, reading.inactiveFileBytes);
  const { limitBytes } = reading;
  return {
    timestampNs,
    workingSetBytes,
    availableBytes:
      limitBytes === undefined ? undefined : limitBytes > workingSetBytes ? limitBytes - workingSetBytes : 0n,
    usageBytes: reading.usageBytes,
    rssBytes: reading.anonBytes,
    pageFaults: reading.pageFaults,
    majorPageFaults: reading.majorPageFaults,
    pressure,
  };
}

function sum(values: readonly (bigint | undefined)[]): bigint | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : known.reduce((total, value) => total + value, 0n);
}

/** The sum of a pod's containers, for a pod without a cgroup of its own. Pressure cannot be added up. */
export function sumGroups(parts: readonly GroupFigures[], sources: FigureSources, key: string): GroupFigures {
  const cpus = parts.flatMap((part) => part.cpu ?? []);
  const memories = parts.flatMap((part) => part.memory ?? []);
  const usageCoreNanoSeconds = sum(cpus.map((cpu) => cpu.usageCoreNanoSeconds));
  const cpuAtNs = sources.clock();
  return {
    cpu: {
      timestampNs: cpuAtNs,
      usageCoreNanoSeconds: usageCoreNanoSeconds ?? 0n,
      usageNanoCores: sources.rates.observe(key, cpuAtNs, usageCoreNanoSeconds ?? 0n),
      pressure: undefined,
    },
    memory: {
      timestampNs: sources.clock(),
      workingSetBytes: sum(memories.map((memory) => memory.workingSetBytes)) ?? 0n,
      // A sum of what is left below each limit is no limit of the pod.
      availableBytes: undefined,
      usageBytes: sum(memories.map((memory) => memory.usageBytes)) ?? 0n,
      rssBytes: sum(memories.map((memory) => memory.rssBytes)) ?? 0n,
      pageFaults: sum(memories.map((memory) => memory.pageFaults)) ?? 0n,
      majorPageFaults: sum(memories.map((memory) => memory.majorPageFaults)) ?? 0n,
      pressure: undefined,
    },
    swap: undefined,
    io: undefined,
  };
}

/** eth0 is the default interface, else the first. */
export function networkFigures(
  interfaces: readonly InterfaceCounters[],
  timestampNs: bigint,
): NetworkFigures {
  return {
    timestampNs,
    defaultInterface: interfaces.find((each) => each.name === 'eth0') ?? interfaces[0],
    interfaces,
  };
}
