/**
 * Limits in three forms: as NRI says them (absent is not zero), as the OCI spec does (config-linux.md, Control groups), and
 * as our records keep them (CRI LinuxContainerResources, where zero is absent).
 */
import { RuntimeError } from '#base/errors.ts';
import {
  Field,
  type LinuxCPUInit,
  type LinuxMemoryInit,
  type LinuxResourcesInit,
} from '#proto/nri/generated/nri.ts';
import type { LinuxResources } from '../sandbox/config.ts';
import type { OciResources } from '../spec/oci-spec.ts';
import { noResources, type ResourceFacts } from '../spec/resources.ts';
import type { Claim } from './owners.ts';

const memoryFields = {
  limit: Field.MemLimit,
  reservation: Field.MemReservation,
  swap: Field.MemSwapLimit,
  kernel: Field.MemKernelLimit,
  kernel_tcp: Field.MemTCPLimit,
  swappiness: Field.MemSwappiness,
  disable_oom_killer: Field.MemDisableOomKiller,
  use_hierarchy: Field.MemUseHierarchy,
} as const satisfies Record<keyof LinuxMemoryInit, Field>;

const cpuFields = {
  shares: Field.CPUShares,
  quota: Field.CPUQuota,
  period: Field.CPUPeriod,
  realtime_runtime: Field.CPURealtimeRuntime,
  realtime_period: Field.CPURealtimePeriod,
  cpus: Field.CPUSetCPUs,
  mems: Field.CPUSetMems,
} as const satisfies Record<keyof LinuxCPUInit, Field>;

function isSet(value: unknown): boolean {
  return value !== undefined && value !== '';
}

function claimsOfGroup(group: object | undefined, fields: Readonly<Record<string, Field>>): Claim[] {
  const values = (group ?? {}) as Record<string, unknown>;
  return Object.entries(fields)
    .filter(([name]) => isSet(values[name]))
    .map(([, field]) => ({ field }));
}

/** What a plugin claims by setting these limits. Device rules are nobody's. */
export function claimsOf(resources: LinuxResourcesInit): Claim[] {
  const { blockio_class, rdt_class, pids } = resources;
  return [
    ...claimsOfGroup(resources.memory, memoryFields),
    ...claimsOfGroup(resources.cpu, cpuFields),
    ...(resources.hugepage_limits ?? []).map(({ page_size }) => ({
      field: Field.HugepageLimits,
      key: page_size ?? '',
    })),
    ...Object.keys(resources.unified ?? {}).map((key) => ({ field: Field.CgroupsUnified, key })),
    ...(blockio_class ? [{ field: Field.BlockioClass }] : []),
    ...(rdt_class ? [{ field: Field.RdtClass }] : []),
    ...(pids ? [{ field: Field.PidsLimit }] : []),
  ];
}

function mergeGroup<T extends object>(base: T | undefined, change: T | undefined): T | undefined {
  if (!change) return base;
  const set = Object.fromEntries(Object.entries(change).filter(([, value]) => isSet(value)));
  return { ...base, ...set } as T;
}

/** `base` with what `change` sets: numbers one by one, huge pages by size, cgroup files by name; device rules are added. */
export function mergeLimits(base: LinuxResourcesInit, change: LinuxResourcesInit): LinuxResourcesInit {
  const pages = new Map(
    [...(base.hugepage_limits ?? []), ...(change.hugepage_limits ?? [])].map((page) => [
      page.page_size,
      page,
    ]),
  );
  return {
    memory: mergeGroup(base.memory, change.memory),
    cpu: mergeGroup(base.cpu, change.cpu),
    hugepage_limits: [...pages.values()],
    blockio_class: change.blockio_class ?? base.blockio_class,
    rdt_class: change.rdt_class ?? base.rdt_class,
    unified: { ...base.unified, ...change.unified },
    devices: [...(base.devices ?? []), ...(change.devices ?? [])],
    pids: change.pids ?? base.pids,
  };
}

function optional(value: number | undefined): { value: bigint } | undefined {
  return value === undefined ? undefined : { value: BigInt(Math.trunc(value)) };
}

/** Limits of a spec. */
export function fromOciResources(oci: OciResources): LinuxResourcesInit {
  const { memory, cpu, pids } = oci;
  return {
    memory: memory && {
      limit: optional(memory.limit),
      reservation: optional(memory.reservation),
      swap: optional(memory.swap),
      kernel: optional(memory.kernel),
      kernel_tcp: optional(memory.kernelTCP),
      swappiness: optional(memory.swappiness),
      disable_oom_killer:
        memory.disableOOMKiller === undefined ? undefined : { value: memory.disableOOMKiller },
      use_hierarchy: memory.useHierarchy === undefined ? undefined : { value: memory.useHierarchy },
    },
    cpu: cpu && {
      shares: optional(cpu.shares),
      quota: optional(cpu.quota),
      period: optional(cpu.period),
      realtime_runtime: optional(cpu.realtimeRuntime),
      realtime_period: optional(cpu.realtimePeriod),
      cpus: cpu.cpus ?? '',
      mems: cpu.mems ?? '',
    },
    hugepage_limits: (oci.hugepageLimits ?? []).map(({ pageSize, limit }) => ({
      page_size: pageSize,
      limit: BigInt(limit),
    })),
    unified: oci.unified ?? {},
    devices: (oci.devices ?? []).map(({ allow, type, major, minor, access }) => ({
      allow,
      type: type ?? 'a',
      major: optional(major),
      minor: optional(minor),
      access: access ?? '',
    })),
    pids: pids && { limit: BigInt(pids.limit) },
  };
}

/** Limits of a request of the CRI. */
export function fromRequested(resources: LinuxResources): LinuxResourcesInit {
  const given = (value: number) => optional(value === 0 ? undefined : value);
  return {
    memory: {
      limit: given(resources.memoryLimitBytes),
      swap: given(resources.memorySwapLimitBytes),
    },
    cpu: {
      shares: given(resources.cpuShares),
      quota: given(resources.cpuQuota),
      period: given(resources.cpuPeriod),
      cpus: resources.cpusetCpus,
      mems: resources.cpusetMems,
    },
    hugepage_limits: resources.hugepageLimits.map(({ pageSize, limitBytes }) => ({
      page_size: pageSize,
      limit: BigInt(limitBytes),
    })),
    unified: resources.unified,
  };
}

function numberOf(optionalValue: { value?: bigint | undefined } | undefined): number | undefined {
  return optionalValue === undefined ? undefined : Number(optionalValue.value ?? 0n);
}

/** As our records keep them; what the CRI has no field for is left out. */
export function toRequested(resources: LinuxResourcesInit): LinuxResources {
  const { memory, cpu } = resources;
  return {
    ...noResources,
    memoryLimitBytes: numberOf(memory?.limit) ?? 0,
    memorySwapLimitBytes: numberOf(memory?.swap) ?? 0,
    cpuShares: numberOf(cpu?.shares) ?? 0,
    cpuQuota: numberOf(cpu?.quota) ?? 0,
    cpuPeriod: numberOf(cpu?.period) ?? 0,
    cpusetCpus: cpu?.cpus ?? '',
    cpusetMems: cpu?.mems ?? '',
    hugepageLimits: (resources.hugepage_limits ?? []).map(({ page_size, limit }) => ({
      pageSize: page_size ?? '',
      limitBytes: Number(limit ?? 0n),
    })),
    unified: { ...resources.unified },
  };
}

/** Leaves out what is undefined. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as never;
}

/**
 * The limits of a spec with those that plugins set. A memory limit without one for swap is the limit of both together, as
 * everywhere here. Throws InvalidArgument for cgroup v2 files on a node with v1, FailedPrecondition for classes, which
 * nobody has defined here.
 */
export function withLimits(
  oci: OciResources,
  change: LinuxResourcesInit,
  facts: ResourceFacts,
): OciResources {
  refuseClasses(change);
  const unified = change.unified ?? {};
  if (Object.keys(unified).length > 0 && facts.cgroupVersion === 1)
    throw new RuntimeError(
      'InvalidArgument',
      'an NRI plugin sets unified resources, which are of cgroup v2, and this node has v1',
    );
  const memory = memoryOf(change, facts);
  const cpu = cpuOf(change);
  const pages = new Map((oci.hugepageLimits ?? []).map((page) => [page.pageSize, page]));
  if (facts.hasHugetlbController)
    for (const { page_size, limit } of change.hugepage_limits ?? [])
      pages.set(page_size ?? '', { pageSize: page_size ?? '', limit: Number(limit ?? 0n) });
  const rules = (change.devices ?? []).map(({ allow, type, major, minor, access }) =>
    defined({
      allow: allow ?? false,
      type: type || undefined,
      major: numberOf(major),
      minor: numberOf(minor),
      access: access || undefined,
    }),
  );
  return {
    ...oci,
    ...(Object.keys(memory).length > 0 ? { memory: { ...oci.memory, ...memory } } : {}),
    ...(Object.keys(cpu).length > 0 ? { cpu: { ...oci.cpu, ...cpu } } : {}),
    ...(pages.size > 0 ? { hugepageLimits: [...pages.values()] } : {}),
    ...(Object.keys(unified).length > 0 ? { unified: { ...oci.unified, ...unified } } : {}),
    ...(rules.length > 0 ? { devices: [...(oci.devices ?? []), ...rules] } : {}),
    ...(change.pids ? { pids: { limit: Number(change.pids.limit ?? 0n) } } : {}),
  };
}

function memoryOf({ memory }: LinuxResourcesInit, facts: ResourceFacts): NonNullable<OciResources['memory']> {
  const limit = numberOf(memory?.limit);
  const swap = numberOf(memory?.swap) ?? limit;
  return defined({
    limit,
    reservation: numberOf(memory?.reservation),
    swap: facts.hasSwapController ? swap : undefined,
    kernel: numberOf(memory?.kernel),
    kernelTCP: numberOf(memory?.kernel_tcp),
    swappiness: numberOf(memory?.swappiness),
    disableOOMKiller: memory?.disable_oom_killer && (memory.disable_oom_killer.value ?? false),
    useHierarchy: memory?.use_hierarchy && (memory.use_hierarchy.value ?? false),
  });
}

function cpuOf({ cpu }: LinuxResourcesInit): NonNullable<OciResources['cpu']> {
  return defined({
    shares: numberOf(cpu?.shares),
    quota: numberOf(cpu?.quota),
    period: numberOf(cpu?.period),
    realtimeRuntime: numberOf(cpu?.realtime_runtime),
    realtimePeriod: numberOf(cpu?.realtime_period),
    cpus: cpu?.cpus || undefined,
    mems: cpu?.mems || undefined,
  });
}

/** A class is a name for settings that the runtime is configured with; the empty one stands for none. */
function refuseClasses({ blockio_class, rdt_class }: LinuxResourcesInit): void {
  const name = blockio_class?.value || rdt_class?.value;
  if (name)
    throw new RuntimeError(
      'FailedPrecondition',
      `an NRI plugin sets the ${blockio_class?.value ? 'block I/O' : 'RDT'} class ${name}, and there are no such classes here`,
    );
}
