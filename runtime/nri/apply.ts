/**
 * The adjustments of NRI plugins on an OCI spec: the last change to it. Pure but for CDI devices, which the caller resolves.
 * Names in the spec are those of config.md and config-linux.md.
 */

import { RuntimeError } from '#base/errors.ts';
import { exactNumber } from '#base/exact-json.ts';
import {
  type ContainerAdjustmentInit,
  type HookInit,
  type HooksInit,
  IOPrioClass,
  type KeyValueInit,
  type LinuxContainerAdjustmentInit,
  type LinuxDeviceInit,
  type LinuxRdtInit,
  LinuxSchedulerFlag,
  type LinuxSchedulerInit,
  LinuxSchedulerPolicy,
  type LinuxSeccompInit,
  type MountInit,
  MpolFlag,
  MpolMode,
} from '#proto/nri/generated/nri.ts';
import { type HookStage, type StagedHook, withHooks } from '../spec/hooks.ts';
import type { HostFacts } from '../spec/inputs.ts';
import type {
  OciDevice,
  OciDeviceRule,
  OciMount,
  OciProcess,
  OciScheduler,
  OciSeccomp,
  OciSpec,
} from '../spec/oci-spec.ts';
import { oomScoreAdj } from '../spec/oom-score.ts';
import { variableName } from './adjustments.ts';
import { applyMarked, applyMarkedKeys, splitMarkedKeys, splitMarks } from './marks.ts';
import { withLimits } from './resources.ts';

type Linux = OciSpec['linux'];

/**
 * The spec with all that plugins want but CDI devices. Throws InvalidArgument for values that do not exist, and what
 * `withLimits` throws.
 */
export function withAdjustments(spec: OciSpec, adjust: ContainerAdjustmentInit, host: HostFacts): OciSpec {
  const annotations = splitMarkedKeys(adjust.annotations ?? {});
  const mounts = adjustMounts(spec, adjust.mounts ?? []);
  const adjusted: OciSpec = {
    ...spec,
    annotations: applyMarkedKeys(spec.annotations ?? {}, annotations),
    process: adjustProcess(spec.process, adjust, host),
    mounts,
    linux: {
      ...adjustLinux(spec.linux, adjust.linux ?? {}, host),
      ...rootPropagation(spec, adjust.mounts ?? []),
    },
  };
  return withHooks(adjusted, stagedHooks(adjust.hooks ?? {}));
}

/** Leaves out what is undefined. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as never;
}

function nameOf(names: Readonly<Record<string, number>>, number: number, what: string): string {
  const name = Object.keys(names).find((key) => names[key] === number);
  if (name === undefined)
    throw new RuntimeError('InvalidArgument', `an NRI plugin sets ${what} ${number}, which does not exist`);
  return name;
}

function adjustProcess(process: OciProcess, adjust: ContainerAdjustmentInit, host: HostFacts): OciProcess {
  const { oom_score_adj: score, io_priority: io, scheduler } = adjust.linux ?? {};
  const rlimits = new Map((process.rlimits ?? []).map((limit) => [limit.type, limit]));
  for (const { type = '', hard = 0n, soft = 0n } of adjust.rlimits ?? [])
    rlimits.set(type, { type, hard: exactNumber(hard), soft: exactNumber(soft) });
  const { ioPriority: _io, scheduler: _scheduler, ...rest } = process;
  const ioClass = io && nameOf(IOPrioClass, io.class ?? 0, 'I/O class');
  return {
    ...rest,
    ...(adjust.args?.length ? { args: [...adjust.args] } : {}),
    env: adjustEnv(process.env, adjust.env ?? []),
    ...(rlimits.size > 0 ? { rlimits: [...rlimits.values()] } : {}),
    ...(score ? { oomScoreAdj: oomScoreAdj(Number(score.value ?? 0n), host) } : {}),
    ...defined({
      ioPriority:
        ioClass === undefined
          ? process.ioPriority
          : ioClass === 'IOPRIO_CLASS_NONE'
            ? undefined
            : { class: ioClass, priority: io?.priority ?? 0 },
      scheduler: scheduler ? schedulerOf(scheduler) : process.scheduler,
    }),
  };
}

/** A variable that is there already keeps its place. */
function adjustEnv(env: readonly string[], changes: readonly KeyValueInit[]): string[] {
  const { removed, set } = splitMarks(changes, ({ key }) => key ?? '');
  const line = (change: KeyValueInit): string => `${change.key}=${change.value ?? ''}`;
  const rest = new Map(set);
  const kept: string[] = [];
  for (const entry of env) {
    const name = variableName(entry);
    const change = set.get(name);
    if (change !== undefined) {
      if (rest.delete(name)) kept.push(line(change));
    } else if (!removed.has(name)) kept.push(entry);
  }
  return [...kept, ...[...rest.values()].map(line)];
}

function schedulerOf(scheduler: LinuxSchedulerInit): OciScheduler | undefined {
  const policy = nameOf(LinuxSchedulerPolicy, scheduler.policy ?? 0, 'scheduling policy');
  if (policy === 'SCHED_NONE') return undefined;
  return {
    policy,
    nice: scheduler.nice ?? 0,
    priority: scheduler.priority ?? 0,
    flags: (scheduler.flags ?? []).map((flag) => nameOf(LinuxSchedulerFlag, flag, 'scheduling flag')),
    runtime: exactNumber(scheduler.runtime ?? 0n),
    deadline: exactNumber(scheduler.deadline ?? 0n),
    period: exactNumber(scheduler.period ?? 0n),
  };
}

const stageOfField = {
  prestart: 'prestart',
  create_runtime: 'createRuntime',
  create_container: 'createContainer',
  start_container: 'startContainer',
  poststart: 'poststart',
  poststop: 'poststop',
} as const satisfies Record<keyof HooksInit, HookStage>;

function stagedHooks(hooks: HooksInit): StagedHook[] {
  const fields = Object.entries(stageOfField) as [keyof HooksInit, HookStage][];
  return fields.flatMap(([field, stage]) =>
    (hooks[field] ?? []).map(({ path, args, env, timeout }: HookInit) => ({
      stage,
      hook: defined({
        path: path ?? '',
        args: args?.length ? [...args] : undefined,
        env: env?.length ? [...env] : undefined,
        timeout: timeout && Number(timeout.value ?? 0n),
      }),
    })),
  );
}

function depth(path: string): number {
  return path.split('/').filter((part) => part !== '').length;
}

/** Sorted by depth where anything changed: a mount must not hide one below it. */
function adjustMounts(spec: OciSpec, changes: readonly MountInit[]): OciMount[] {
  if (changes.length === 0) return spec.mounts;
  const { removed, set } = splitMarks(changes, ({ destination }) => destination ?? '');
  const added = [...set].map(([destination, { type, source, options }]): [string, OciMount] => [
    destination,
    {
      destination,
      ...(type ? { type } : {}),
      ...(source ? { source } : {}),
      // Not an option of mounts but a wish that NRI knows; without SELinux there is nothing to it.
      options: (options ?? []).filter((option) => option !== 'relabel'),
    },
  ]);
  const mounts = applyMarked(spec.mounts, ({ destination }) => destination, { removed, set: new Map(added) });
  return mounts.toSorted((a, b) => depth(a.destination) - depth(b.destination));
}

/** A mount that is to hand events on needs a root that does. */
function rootPropagation(
  { linux }: OciSpec,
  changes: readonly MountInit[],
): Pick<Linux, 'rootfsPropagation'> {
  const options = new Set(changes.flatMap((mount) => [...(mount.options ?? [])]));
  if (options.has('rshared') || options.has('shared')) return { rootfsPropagation: 'rshared' };
  const isSlave = options.has('rslave') || options.has('slave');
  return isSlave && linux.rootfsPropagation !== 'rshared' ? { rootfsPropagation: 'rslave' } : {};
}

function adjustLinux(linux: Linux, adjust: LinuxContainerAdjustmentInit, host: HostFacts): Linux {
  const { devices, rules } = adjustDevices(linux, adjust.devices ?? []);
  const namespaces = splitMarks(adjust.namespaces ?? [], ({ type }) => type ?? '');
  const sysctl = applyMarkedKeys(linux.sysctl ?? {}, splitMarkedKeys(adjust.sysctl ?? {}));
  const netDevices = applyMarkedKeys(linux.netDevices ?? {}, netDevicesOf(adjust));
  const resources = { ...linux.resources, ...(rules.length > 0 ? { devices: rules } : {}) };
  const { intelRdt: _, ...rest } = linux;
  return {
    ...rest,
    ...(adjust.cgroups_path ? { cgroupsPath: adjust.cgroups_path } : {}),
    resources: adjust.resources ? withLimits(resources, adjust.resources, host) : resources,
    namespaces: applyMarked(linux.namespaces, ({ type }) => type, {
      removed: namespaces.removed,
      set: new Map(
        [...namespaces.set].map(([type, { path }]) => [type, { type, ...(path ? { path } : {}) }]),
      ),
    }),
    ...defined({
      devices: devices.length > 0 ? devices : undefined,
      sysctl: Object.keys(sysctl).length > 0 ? sysctl : undefined,
      netDevices: Object.keys(netDevices).length > 0 ? netDevices : undefined,
      seccomp: adjust.seccomp_policy ? seccompOf(adjust.seccomp_policy) : linux.seccomp,
      intelRdt: adjust.rdt ? rdtOf(linux.intelRdt, adjust.rdt) : linux.intelRdt,
      memoryPolicy: adjust.memory_policy ? memoryPolicyOf(adjust.memory_policy) : linux.memoryPolicy,
    }),
  };
}

function netDevicesOf(adjust: LinuxContainerAdjustmentInit) {
  const { removed, set } = splitMarkedKeys(adjust.net_devices ?? {});
  return { removed, set: new Map([...set].map(([host, { name }]) => [host, name ? { name } : {}])) };
}

const deviceTypes: readonly string[] = ['c', 'b', 'u', 'p'] satisfies OciDevice['type'][];

/** Devices, and the cgroup's rules: the right to use a device comes and goes with it. */
function adjustDevices(
  linux: Linux,
  changes: readonly LinuxDeviceInit[],
): { devices: OciDevice[]; rules: OciDeviceRule[] } {
  const rules = linux.resources.devices ?? [];
  if (changes.length === 0) return { devices: linux.devices ?? [], rules };
  const { removed, set } = splitMarks(changes, ({ path }) => path ?? '');
  const added = new Map([...set].map(([path, device]) => [path, deviceOf(path, device)]));
  const gone = (linux.devices ?? []).filter(({ path }) => removed.has(path) || added.has(path));
  const isOfGone = (rule: OciDeviceRule): boolean =>
    rule.allow &&
    gone.some(({ type, major, minor }) => rule.type === type && rule.major === major && rule.minor === minor);
  return {
    devices: applyMarked(linux.devices ?? [], ({ path }) => path, { removed, set: added }),
    rules: [
      ...rules.filter((rule) => !isOfGone(rule)),
      ...[...added.values()]
        .filter(({ type }) => type !== 'p')
        .map(({ type, major, minor }) => defined({ allow: true, type, major, minor, access: 'rwm' })),
    ],
  };
}

function deviceOf(path: string, device: LinuxDeviceInit): OciDevice {
  const type = device.type ?? '';
  if (!deviceTypes.includes(type))
    throw new RuntimeError(
      'InvalidArgument',
      `an NRI plugin adds device ${path} of type ${JSON.stringify(type)}`,
    );
  return defined({
    path,
    type: type as OciDevice['type'],
    major: Number(device.major ?? 0n),
    minor: Number(device.minor ?? 0n),
    fileMode: device.file_mode && (device.file_mode.value ?? 0),
    uid: device.uid && (device.uid.value ?? 0),
    gid: device.gid && (device.gid.value ?? 0),
  });
}

function seccompOf(policy: LinuxSeccompInit): OciSeccomp {
  return defined({
    defaultAction: policy.default_action ?? '',
    defaultErrnoRet: policy.default_errno && (policy.default_errno.value ?? 0),
    architectures: policy.architectures?.length ? [...policy.architectures] : undefined,
    flags: policy.flags?.length ? [...policy.flags] : undefined,
    listenerPath: policy.listener_path || undefined,
    listenerMetadata: policy.listener_metadata || undefined,
    syscalls: (policy.syscalls ?? []).map(({ names, action, errno_ret, args }) =>
      defined({
        names: [...(names ?? [])],
        action: action ?? '',
        errnoRet: errno_ret && (errno_ret.value ?? 0),
        args: args?.length
          ? args.map(({ index, value, value_two, op }) => ({
              index: index ?? 0,
              value: exactNumber(value ?? 0n),
              valueTwo: exactNumber(value_two ?? 0n),
              op: op ?? '',
            }))
          : undefined,
      }),
    ),
  });
}

function rdtOf(before: Linux['intelRdt'], rdt: LinuxRdtInit): Linux['intelRdt'] {
  const set = defined({
    closID: rdt.clos_id && (rdt.clos_id.value ?? ''),
    schemata: rdt.schemata && [...(rdt.schemata.value ?? [])],
    enableMonitoring: rdt.enable_monitoring && (rdt.enable_monitoring.value ?? false),
  });
  const joined = { ...(rdt.remove ? {} : before), ...set };
  return Object.keys(joined).length > 0 ? joined : undefined;
}

function memoryPolicyOf(
  policy: NonNullable<LinuxContainerAdjustmentInit['memory_policy']>,
): Linux['memoryPolicy'] {
  return {
    mode: nameOf(MpolMode, policy.mode ?? 0, 'memory policy'),
    nodes: policy.nodes ?? '',
    flags: (policy.flags ?? []).map((flag) => nameOf(MpolFlag, flag, 'memory policy flag')),
  };
}
