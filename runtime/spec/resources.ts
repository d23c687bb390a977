/**
 * Limits of a container (CRI LinuxContainerResources; OCI config-linux.md Control groups, in the words of cgroup v1, which
 * the OCI runtimes translate for v2). Zero and empty mean: not set.
 */
import { RuntimeError } from '#base/errors.ts';
import type { LinuxResources } from '../sandbox/config.ts';
import type { HostFacts } from './inputs.ts';
import type { OciResources } from './oci-spec.ts';

export type ResourceFacts = Pick<HostFacts, 'cgroupVersion' | 'hasSwapController' | 'hasHugetlbController'>;

/** Nothing set. */
export const noResources: LinuxResources = {
  cpuPeriod: 0,
  cpuQuota: 0,
  cpuShares: 0,
  memoryLimitBytes: 0,
  oomScoreAdj: 0,
  cpusetCpus: '',
  cpusetMems: '',
  hugepageLimits: [],
  unified: {},
  memorySwapLimitBytes: 0,
};

/**
 * `linux.resources` without devices and pids; also what `crun update --resources` reads. A memory limit without a swap
 * limit means no swap, where the node can limit swap at all. Huge page limits are left out where the node has no such
 * controller. Throws InvalidArgument: a swap limit below the memory limit or without one, a malformed page size, unified
 * values on cgroup v1 or for what is not one file's name.
 */
export function toOciResources(resources: LinuxResources, host: ResourceFacts): OciResources {
  const oci: OciResources = {};
  const cpu = cpuOf(resources);
  if (Object.keys(cpu).length > 0) oci.cpu = cpu;
  const memory = memoryOf(resources, host);
  if (Object.keys(memory).length > 0) oci.memory = memory;
  const hugepages = hugepagesOf(resources);
  if (hugepages.length > 0 && host.hasHugetlbController) oci.hugepageLimits = hugepages;
  if (Object.keys(resources.unified).length > 0) oci.unified = unifiedOf(resources, host);
  return oci;
}

/**
 * What holds after an update: its non-zero and non-empty fields replace those of `old`; huge page sizes and unified files
 * are replaced one by one (CRI UpdateContainerResources).
 */
export function mergeResources(old: LinuxResources | undefined, update: LinuxResources): LinuxResources {
  const base = old ?? noResources;
  const pages = new Map(base.hugepageLimits.map((entry) => [entry.pageSize, entry]));
  for (const entry of update.hugepageLimits) pages.set(entry.pageSize, entry);
  return {
    cpuPeriod: update.cpuPeriod || base.cpuPeriod,
    cpuQuota: update.cpuQuota || base.cpuQuota,
    cpuShares: update.cpuShares || base.cpuShares,
    memoryLimitBytes: update.memoryLimitBytes || base.memoryLimitBytes,
    oomScoreAdj: update.oomScoreAdj || base.oomScoreAdj,
    cpusetCpus: update.cpusetCpus || base.cpusetCpus,
    cpusetMems: update.cpusetMems || base.cpusetMems,
    hugepageLimits: [...pages.values()],
    unified: { ...base.unified, ...update.unified },
    memorySwapLimitBytes: update.memorySwapLimitBytes || base.memorySwapLimitBytes,
  };
}

function cpuOf(resources: LinuxResources): NonNullable<OciResources['cpu']> {
  return {
    ...(resources.cpuShares > 0 ? { shares: resources.cpuShares } : {}),
    ...(resources.cpuQuota === 0 ? {} : { quota: resources.cpuQuota }),
    ...(resources.cpuPeriod > 0 ? { period: resources.cpuPeriod } : {}),
    ...(resources.cpusetCpus === '' ? {} : { cpus: resources.cpusetCpus }),
    ...(resources.cpusetMems === '' ? {} : { mems: resources.cpusetMems }),
  };
}

function memoryOf(resources: LinuxResources, host: ResourceFacts): NonNullable<OciResources['memory']> {
  const { memoryLimitBytes: limit, memorySwapLimitBytes: swap } = resources;
  if (swap > 0 && limit <= 0) {
    throw new RuntimeError('InvalidArgument', `a swap limit of ${swap} bytes needs a memory limit`);
  }
  if (swap > 0 && swap < limit) {
    throw new RuntimeError(
      'InvalidArgument',
      `the swap limit of ${swap} bytes counts memory and swap, so it cannot be below the memory limit of ${limit}`,
    );
  }
  const memory: NonNullable<OciResources['memory']> = limit === 0 ? {} : { limit };
  const total = swap === 0 ? limit : swap;
  if (total !== 0 && host.hasSwapController) memory.swap = total;
  return memory;
}

function hugepagesOf(resources: LinuxResources): { pageSize: string; limit: number }[] {
  return resources.hugepageLimits.map(({ pageSize, limitBytes }) => {
    if (!/^[1-9]\d{0,9}[KMGTP]?B$/.test(pageSize)) {
      throw new RuntimeError('InvalidArgument', `huge page size ${JSON.stringify(pageSize)} is not like 2MB`);
    }
    return { pageSize, limit: limitBytes };
  });
}

function unifiedOf(resources: LinuxResources, host: ResourceFacts): Record<string, string> {
  if (host.cgroupVersion === 1) {
    throw new RuntimeError('InvalidArgument', 'unified resources are of cgroup v2, and this node has v1');
  }
  for (const name of Object.keys(resources.unified)) {
    if (!/^[a-z0-9_]+(?:\.[A-Za-z0-9_]+)+$/.test(name)) {
      throw new RuntimeError('InvalidArgument', `${JSON.stringify(name)} is not a file of a cgroup`);
    }
  }
  return { ...resources.unified };
}
