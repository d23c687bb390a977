/** CRI LinuxContainerResources to LinuxResources and back. Zero means "not set" on both sides. */
import type { LinuxContainerResources, LinuxContainerResourcesInit } from '#proto/generated/cri.ts';
import type { LinuxResources } from '#runtime/sandbox/config.ts';
import { checkCount, checkMap, checkText, invalidField, maxMapBytes, toNumber } from './field.ts';

const cpuList = /^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$/;
const pageSize = /^[0-9]+[KMGT]i?B$/;
/** A file of a cgroup v2 directory. */
const unifiedKey = /^[a-z0-9_]+(\.[a-zA-Z0-9_.]+)+$/;

/** Throws InvalidArgument for values that no kernel takes. */
export function toResources(message: LinuxContainerResources, path: string): LinuxResources {
  return {
    // Bounds of cpu.cfs_period_us (kernel: sched-bwc.rst).
    cpuPeriod:
      message.cpu_period === 0n ? 0 : toNumber(message.cpu_period, `${path}.cpu_period`, 1000, 1_000_000),
    cpuQuota: toNumber(message.cpu_quota, `${path}.cpu_quota`, -1),
    cpuShares: toNumber(message.cpu_shares, `${path}.cpu_shares`, 0),
    memoryLimitBytes: toNumber(message.memory_limit_in_bytes, `${path}.memory_limit_in_bytes`, -1),
    oomScoreAdj: toNumber(message.oom_score_adj, `${path}.oom_score_adj`, -1000, 1000),
    cpusetCpus: toCpuList(message.cpuset_cpus, `${path}.cpuset_cpus`),
    cpusetMems: toCpuList(message.cpuset_mems, `${path}.cpuset_mems`),
    hugepageLimits: checkCount(message.hugepage_limits, `${path}.hugepage_limits`, 64).map((limit, index) => {
      const at = `${path}.hugepage_limits[${index}]`;
      if (!pageSize.test(limit.page_size)) {
        throw invalidField(
          `${at}.page_size`,
          `must be a size such as "2MB": ${JSON.stringify(limit.page_size)}`,
        );
      }
      return { pageSize: limit.page_size, limitBytes: toNumber(limit.limit, `${at}.limit`) };
    }),
    unified: toUnified(message.unified, `${path}.unified`),
    memorySwapLimitBytes: toNumber(
      message.memory_swap_limit_in_bytes,
      `${path}.memory_swap_limit_in_bytes`,
      -1,
    ),
  };
}

function toCpuList(value: string, path: string): string {
  if (value === '') return value;
  checkText(value, path, 4096);
  if (!cpuList.test(value))
    throw invalidField(path, `must be a list such as "0-3,7": ${JSON.stringify(value)}`);
  return value;
}

function toUnified(map: Readonly<Record<string, string>>, path: string): Readonly<Record<string, string>> {
  checkMap(map, path, maxMapBytes);
  for (const key of Object.keys(map)) {
    if (!unifiedKey.test(key))
      throw invalidField(path, `has a key that is no cgroup file: ${JSON.stringify(key)}`);
  }
  return map;
}

export function fromResources(resources: LinuxResources): LinuxContainerResourcesInit {
  return {
    cpu_period: BigInt(resources.cpuPeriod),
    cpu_quota: BigInt(resources.cpuQuota),
    cpu_shares: BigInt(resources.cpuShares),
    memory_limit_in_bytes: BigInt(resources.memoryLimitBytes),
    oom_score_adj: BigInt(resources.oomScoreAdj),
    cpuset_cpus: resources.cpusetCpus,
    cpuset_mems: resources.cpusetMems,
    hugepage_limits: resources.hugepageLimits.map(({ pageSize, limitBytes }) => ({
      page_size: pageSize,
      limit: BigInt(limitBytes),
    })),
    unified: resources.unified,
    memory_swap_limit_in_bytes: BigInt(resources.memorySwapLimitBytes),
  };
}
