/**
 * What control groups say of the use of a machine, version 1 and version 2 alike: kernel Documentation/admin-guide,
 * cgroup-v1/*.rst and cgroup-v2.rst. A group is named by its path below the mount (`/kubepods/podX/ID`); a figure that its
 * kernel does not keep, or a group that is gone, is undefined.
 */
import { existsSync, readdirSync } from 'node:fs';
import { flatValue, readKernelFile, wholeNumber } from './kernel-file.ts';
import { type Pressure, parsePressure } from './pressure.ts';

/** v1 says "no limit" with the largest page-aligned number. */
const unlimitedFrom = 1n << 62n;

export interface CpuReading {
  readonly usageNs: bigint;
}

export interface CpuDetail {
  readonly usageNs: bigint | undefined;
  readonly userNs: bigint | undefined;
  readonly systemNs: bigint | undefined;
  readonly periods: bigint | undefined;
  readonly throttledPeriods: bigint | undefined;
  readonly throttledNs: bigint | undefined;
  readonly periodUs: bigint | undefined;
  /** undefined without a quota. */
  readonly quotaUs: bigint | undefined;
  /** v1 only: the weight of v2 cannot be turned back. */
  readonly shares: bigint | undefined;
}

export interface MemoryReading {
  readonly usageBytes: bigint;
  /** undefined without a limit of its own. */
  readonly limitBytes: bigint | undefined;
  readonly inactiveFileBytes: bigint;
  readonly activeFileBytes: bigint | undefined;
  readonly anonBytes: bigint | undefined;
  readonly cacheBytes: bigint | undefined;
  readonly mappedFileBytes: bigint | undefined;
  readonly pageFaults: bigint | undefined;
  readonly majorPageFaults: bigint | undefined;
  /** Bytes swapped out; undefined where swap is not accounted. */
  readonly swapBytes: bigint | undefined;
  /** Whether it is known already, from v1's memory.stat, that neither the group nor one above it limits swap. */
  readonly isSwapUnlimited: boolean;
}

export interface MemoryDetail {
  readonly kernelBytes: bigint | undefined;
  /** The most ever used; v2 since Linux 5.19. */
  readonly maxUsageBytes: bigint | undefined;
  /** How often the limit was hit. */
  readonly limitHits: bigint | undefined;
  readonly oomKills: bigint | undefined;
  readonly reservationBytes: bigint | undefined;
  /** v1: of memory and swap together; v2: of swap. undefined without one. */
  readonly swapLimitBytes: bigint | undefined;
}

export interface SwapReading {
  readonly usageBytes: bigint;
  readonly availableBytes: bigint | undefined;
}

export interface TaskReading {
  readonly tasks: bigint | undefined;
  /** undefined without a limit. */
  readonly maxTasks: bigint | undefined;
}

export type PressureKind = 'cpu' | 'memory' | 'io';

export class CgroupStats {
  readonly version: 1 | 2;
  readonly #mount: string;
  readonly #hasPressure: boolean;

  /** `mount` is where the hierarchies stand, `/sys/fs/cgroup` on a real machine. */
  constructor(version: 1 | 2, mount = '/sys/fs/cgroup', hasPressure = existsSync('/proc/pressure/cpu')) {
    this.version = version;
    this.#mount = mount;
    this.#hasPressure = version === 2 && hasPressure;
  }

  /** Core nanoseconds since the group was made; undefined if the group is gone. */
  cpu(group: string): CpuReading | undefined {
    const usageNs =
      this.version === 1
        ? wholeNumber(this.read('cpuacct', group, 'cpuacct.usage'))
        : microseconds(this.read('cpu', group, 'cpu.stat') ?? '', 'usage_usec');
    return usageNs === undefined ? undefined : { usageNs };
  }

  cpuDetail(group: string): CpuDetail {
    const stat = this.read('cpu', group, 'cpu.stat') ?? '';
    if (this.version === 2) {
      const [quota, period] = (this.#limitText('cpu', group, 'cpu.max') ?? '').split(' ');
      return {
        usageNs: microseconds(stat, 'usage_usec'),
        userNs: microseconds(stat, 'user_usec'),
        systemNs: microseconds(stat, 'system_usec'),
        periods: flatValue(stat, 'nr_periods'),
        throttledPeriods: flatValue(stat, 'nr_throttled'),
        throttledNs: microseconds(stat, 'throttled_usec'),
        periodUs: wholeNumber(period),
        quotaUs: wholeNumber(quota),
        shares: undefined,
      };
    }
    return {
      usageNs: wholeNumber(this.read('cpuacct', group, 'cpuacct.usage')),
      userNs: wholeNumber(this.read('cpuacct', group, 'cpuacct.usage_user')),
      systemNs: wholeNumber(this.read('cpuacct', group, 'cpuacct.usage_sys')),
      periods: flatValue(stat, 'nr_periods'),
      throttledPeriods: flatValue(stat, 'nr_throttled'),
      throttledNs: flatValue(stat, 'throttled_time'),
      periodUs: wholeNumber(this.read('cpu', group, 'cpu.cfs_period_us')),
      quotaUs: wholeNumber(this.read('cpu', group, 'cpu.cfs_quota_us')),
      shares: wholeNumber(this.read('cpu', group, 'cpu.shares')),
    };
  }

  /** Memory of the group and those below it; undefined if the group is gone. */
  memory(group: string): MemoryReading | undefined {
    const isV1 = this.version === 1;
    const usageBytes = wholeNumber(
      this.read('memory', group, isV1 ? 'memory.usage_in_bytes' : 'memory.current'),
    );
    const stat = this.read('memory', group, 'memory.stat');
    if (usageBytes === undefined || stat === undefined) return undefined;
    const prefix = isV1 ? 'total_' : '';
    // v1 says the nearest limit from here up: if there is none, the group has none either, and two files stay unopened.
    const isUnlimited = isV1 && isBeyondLimits(flatValue(stat, 'hierarchical_memory_limit'));
    return {
      usageBytes,
      limitBytes: isUnlimited
        ? undefined
        : limit(
            isV1
              ? this.read('memory', group, 'memory.limit_in_bytes')
              : this.#limitText('memory', group, 'memory.max'),
          ),
      inactiveFileBytes: flatValue(stat, `${prefix}inactive_file`) ?? 0n,
      activeFileBytes: flatValue(stat, `${prefix}active_file`),
      anonBytes: flatValue(stat, isV1 ? 'total_rss' : 'anon'),
      cacheBytes: flatValue(stat, isV1 ? 'total_cache' : 'file'),
      mappedFileBytes: flatValue(stat, isV1 ? 'total_mapped_file' : 'file_mapped'),
      pageFaults: flatValue(stat, `${prefix}pgfault`),
      majorPageFaults: flatValue(stat, `${prefix}pgmajfault`),
      swapBytes: isV1
        ? flatValue(stat, 'total_swap')
        : wholeNumber(this.read('memory', group, 'memory.swap.current')),
      isSwapUnlimited: isV1 && isBeyondLimits(flatValue(stat, 'hierarchical_memsw_limit')),
    };
  }

  memoryDetail(group: string): MemoryDetail {
    if (this.version === 1) {
      return {
        kernelBytes: wholeNumber(this.read('memory', group, 'memory.kmem.usage_in_bytes')),
        maxUsageBytes: wholeNumber(this.read('memory', group, 'memory.max_usage_in_bytes')),
        limitHits: wholeNumber(this.read('memory', group, 'memory.failcnt')),
        oomKills: flatValue(this.read('memory', group, 'memory.oom_control') ?? '', 'oom_kill'),
        reservationBytes: limit(this.read('memory', group, 'memory.soft_limit_in_bytes')),
        swapLimitBytes: limit(this.read('memory', group, 'memory.memsw.limit_in_bytes')),
      };
    }
    const stat = this.read('memory', group, 'memory.stat') ?? '';
    const events = this.read('memory', group, 'memory.events') ?? '';
    const guaranteed = wholeNumber(this.#limitText('memory', group, 'memory.min')) ?? 0n;
    return {
      kernelBytes: flatValue(stat, 'kernel') ?? kernelParts(stat),
      maxUsageBytes: wholeNumber(this.read('memory', group, 'memory.peak')),
      limitHits: flatValue(events, 'max'),
      oomKills: flatValue(events, 'oom_kill'),
      reservationBytes:
        guaranteed > 0n ? guaranteed : wholeNumber(this.#limitText('memory', group, 'memory.low')),
      swapLimitBytes: this.#lowestLimit('memory', group, 'memory.swap.max'),
    };
  }

  /** Of a group whose memory was just read, for v1 counts both in one file. undefined where swap is not accounted. */
  swap(group: string, memory: MemoryReading): SwapReading | undefined {
    const usageBytes = memory.swapBytes;
    if (usageBytes === undefined) return undefined;
    if (this.version === 2) {
      const most = this.#lowestLimit('memory', group, 'memory.swap.max');
      return { usageBytes, availableBytes: most === undefined ? undefined : atLeastZero(most - usageBytes) };
    }
    if (memory.isSwapUnlimited) return { usageBytes, availableBytes: undefined };
    const most = limit(this.read('memory', group, 'memory.memsw.limit_in_bytes'));
    if (most === undefined) return { usageBytes, availableBytes: undefined };
    const both = wholeNumber(this.read('memory', group, 'memory.memsw.usage_in_bytes'));
    return { usageBytes, availableBytes: both === undefined ? undefined : atLeastZero(most - both) };
  }

  /** Tasks (threads count) of the group and those below it. */
  tasks(group: string): bigint | undefined {
    return wholeNumber(this.read('pids', group, 'pids.current'));
  }

  maxTasks(group: string): bigint | undefined {
    return wholeNumber(this.#limitText('pids', group, 'pids.max'));
  }

  /** undefined on v1 and where the kernel was started without it. */
  pressure(kind: PressureKind, group: string): Pressure | undefined {
    if (!this.#hasPressure) return undefined;
    const text = this.read(kind, group, `${kind}.pressure`);
    return text === undefined ? undefined : parsePressure(text);
  }

  /** Pids of the group and of groups below it. */
  processes(group: string): number[] {
    return this.#processesBelow(this.directory('pids', group));
  }

  /** The directory of `group` in the hierarchy of `controller`; on v2 all are one. */
  directory(controller: string, group: string): string {
    return this.version === 2 ? `${this.#mount}${group}` : `${this.#mount}/${controller}${group}`;
  }

  #processesBelow(directory: string): number[] {
    const own = (readKernelFile(`${directory}/cgroup.procs`) ?? '').split('\n').filter((line) => line !== '');
    const pids = own.map(Number);
    try {
      for (const entry of readdirSync(directory, { withFileTypes: true }))
        if (entry.isDirectory()) pids.push(...this.#processesBelow(`${directory}/${entry.name}`));
    } catch {
      // the group is gone: nothing below it
    }
    return pids;
  }

  /** A file of `group` in the hierarchy of `controller`. */
  read(controller: string, group: string, file: string): string | undefined {
    return readKernelFile(`${this.directory(controller, group)}/${file}`);
  }

  /**
   * A limit as text. crun puts the processes of a systemd scope into SCOPE/container and, in older releases, some limits
   * with them: a scope without a limit may have one there.
   */
  #limitText(controller: string, group: string, file: string): string | undefined {
    const own = this.read(controller, group, file);
    if (this.version === 1 || !group.endsWith('.scope') || !/^(max|0$)/.test(own?.trim() ?? 'max'))
      return own;
    return this.read(controller, `${group}/container`, file) ?? own;
  }

  /**
   * The lower limit of a scope and of the group in it that crun puts the processes into. crun up to 1.21 tells systemd memory
   * and swap together as the limit of swap, and writes the right one only into the inner group.
   */
  #lowestLimit(controller: string, group: string, file: string): bigint | undefined {
    const own = limit(this.read(controller, group, file));
    if (this.version === 1 || !group.endsWith('.scope')) return own;
    return lower(own, limit(this.read(controller, `${group}/container`, file)));
  }
}

function lower(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a < b ? a : b;
}

function limit(text: string | undefined): bigint | undefined {
  const bytes = wholeNumber(text);
  return isBeyondLimits(bytes) ? undefined : bytes;
}

function isBeyondLimits(bytes: bigint | undefined): boolean {
  return bytes !== undefined && bytes >= unlimitedFrom;
}

function microseconds(stat: string, key: string): bigint | undefined {
  const value = flatValue(stat, key);
  return value === undefined ? undefined : value * 1000n;
}

/** Kernel memory by its parts, for Linux before 5.18, which has no sum. */
function kernelParts(stat: string): bigint | undefined {
  const parts = ['kernel_stack', 'pagetables', 'percpu', 'sock', 'slab'].map((key) => flatValue(stat, key));
  if (parts.every((part) => part === undefined)) return undefined;
  return parts.reduce<bigint>((sum, part) => sum + (part ?? 0n), 0n);
}

function atLeastZero(value: bigint): bigint {
  return value > 0n ? value : 0n;
}
