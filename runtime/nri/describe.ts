/** Sandboxes and containers in NRI's words. */
import {
  type ContainerInit,
  ContainerState,
  type HooksInit,
  IOPrioClass,
  type LinuxContainerInit,
  type LinuxNamespaceInit,
  LinuxSchedulerFlag,
  LinuxSchedulerPolicy,
  type LinuxSeccompInit,
  type PodSandboxInit,
  SecurityProfile_ProfileType,
} from '#proto/nri/generated/nri.ts';
import type { ContainerRecord } from '../container/record.ts';
import type { SecurityProfile } from '../sandbox/config.ts';
import type { SandboxRecord } from '../sandbox/record.ts';
import type { OciHook, OciSeccomp, OciSpec } from '../spec/oci-spec.ts';
import { compiledSeccompAnnotation } from '../spec/seccomp-compiled.ts';
import { fromOciResources, fromRequested } from './resources.ts';

/** A sandbox. `pid` is that of the init of a shared PID namespace: there is no other process to it. */
export function describeSandbox(record: SandboxRecord): PodSandboxInit {
  const { config } = record;
  return {
    id: record.id,
    name: config.metadata.name,
    uid: config.metadata.uid,
    namespace: config.metadata.namespace,
    labels: config.labels,
    annotations: config.annotations,
    runtime_handler: record.runtimeHandler,
    linux: {
      pod_overhead: config.overhead && fromRequested(config.overhead),
      pod_resources: config.resources && fromRequested(config.resources),
      cgroup_parent: config.cgroupParent,
      namespaces: sandboxNamespaces(record),
    },
    pid: record.init?.pid ?? 0,
    ips: record.ips,
  };
}

function sandboxNamespaces(record: SandboxRecord): LinuxNamespaceInit[] {
  const pinned = [
    ['network', record.netnsPath],
    ['ipc', record.ipcnsPath],
    ['uts', record.utsnsPath],
    ['user', record.usernsPath],
  ] as const;
  return pinned.filter(([, path]) => path !== '').map(([type, path]) => ({ type, path }));
}

const states: Readonly<Record<ContainerRecord['state'], ContainerState>> = {
  creating: ContainerState.CONTAINER_UNKNOWN,
  created: ContainerState.CONTAINER_CREATED,
  running: ContainerState.CONTAINER_RUNNING,
  exited: ContainerState.CONTAINER_STOPPED,
  unknown: ContainerState.CONTAINER_UNKNOWN,
};

/** A container. Without its spec, which a reboot takes away, only what the record keeps is said. */
export function describeContainer(record: ContainerRecord, spec: OciSpec | undefined): ContainerInit {
  const { config } = record;
  const annotations = { ...(spec?.annotations ?? config.annotations) };
  delete annotations[compiledSeccompAnnotation];
  return {
    id: record.id,
    pod_sandbox_id: record.sandboxId,
    name: config.metadata.name,
    state: states[record.state],
    labels: config.labels,
    annotations,
    args: spec?.process.args ?? [...config.command, ...config.args],
    env: spec?.process.env ?? [],
    mounts: (spec?.mounts ?? []).map(({ destination, type, source, options }) => ({
      destination,
      type: type ?? '',
      source: source ?? '',
      options: options ?? [],
    })),
    hooks: spec?.hooks && describeHooks(spec.hooks),
    linux: spec ? describeLinux(spec, config.security.seccomp) : undefined,
    pid: record.process?.pid ?? 0,
    rlimits: (spec?.process.rlimits ?? []).map(({ type, hard, soft }) => ({
      type,
      hard: exactly(hard),
      soft: exactly(soft),
    })),
    created_at: record.createdAtNs,
    started_at: record.startedAtNs,
    finished_at: record.finishedAtNs,
    exit_code: record.exitCode,
    status_reason: record.reason,
    status_message: record.message,
    CDI_devices: config.cdiDevices.map((name) => ({ name })),
    user: {
      uid: spec?.process.user.uid ?? record.user.uid,
      gid: spec?.process.user.gid ?? record.user.gid,
      additional_gids: spec?.process.user.additionalGids ?? record.user.additionalGids,
    },
    image: {
      name: record.imageName,
      digest: record.imageRef.includes('@') ? record.imageRef.slice(record.imageRef.indexOf('@') + 1) : '',
      config_digest: record.imageId,
    },
  };
}

/** Rlimits may stand in a spec as the text of a number that is too large for a plain one. */
function exactly(value: number): bigint {
  const { rawJSON } = value as unknown as { rawJSON?: string };
  return BigInt(rawJSON ?? value);
}

function describeHooks(hooks: NonNullable<OciSpec['hooks']>): HooksInit {
  const list = (stage: string) => (hooks[stage] ?? []).map(describeHook);
  return {
    prestart: list('prestart'),
    create_runtime: list('createRuntime'),
    create_container: list('createContainer'),
    start_container: list('startContainer'),
    poststart: list('poststart'),
    poststop: list('poststop'),
  };
}

function describeHook({ path, args, env, timeout }: OciHook) {
  return {
    path,
    args: args ?? [],
    env: env ?? [],
    timeout: timeout === undefined ? undefined : { value: BigInt(timeout) },
  };
}

function describeLinux(spec: OciSpec, seccomp: SecurityProfile | undefined): LinuxContainerInit {
  const { linux, process } = spec;
  const isCompiled = spec.annotations?.[compiledSeccompAnnotation] !== undefined;
  return {
    namespaces: linux.namespaces.map(({ type, path }) => ({ type, path: path ?? '' })),
    devices: (linux.devices ?? []).map(({ path, type, major, minor, fileMode, uid, gid }) => ({
      path,
      type,
      major: BigInt(major ?? 0),
      minor: BigInt(minor ?? 0),
      file_mode: fileMode === undefined ? undefined : { value: fileMode },
      uid: uid === undefined ? undefined : { value: uid },
      gid: gid === undefined ? undefined : { value: gid },
    })),
    resources: fromOciResources(linux.resources),
    oom_score_adj: process.oomScoreAdj === undefined ? undefined : { value: BigInt(process.oomScoreAdj) },
    cgroups_path: linux.cgroupsPath,
    seccomp_profile: seccomp && describeProfile(seccomp),
    // A compiled profile has lost its rules.
    seccomp_policy: linux.seccomp === undefined || isCompiled ? undefined : describeSeccomp(linux.seccomp),
    sysctl: linux.sysctl ?? {},
    net_devices: Object.fromEntries(
      Object.entries(linux.netDevices ?? {}).map(([name, device]) => [name, { name: device.name ?? '' }]),
    ),
    io_priority: process.ioPriority && {
      class: numberOf(IOPrioClass, process.ioPriority.class),
      priority: process.ioPriority.priority,
    },
    scheduler: process.scheduler && {
      policy: numberOf(LinuxSchedulerPolicy, process.scheduler.policy),
      nice: process.scheduler.nice ?? 0,
      priority: process.scheduler.priority ?? 0,
      flags: (process.scheduler.flags ?? []).map((flag) => numberOf(LinuxSchedulerFlag, flag)),
      runtime: BigInt(process.scheduler.runtime ?? 0),
      deadline: BigInt(process.scheduler.deadline ?? 0),
      period: BigInt(process.scheduler.period ?? 0),
    },
    rdt: linux.intelRdt && {
      clos_id: linux.intelRdt.closID === undefined ? undefined : { value: linux.intelRdt.closID },
      schemata: linux.intelRdt.schemata && { value: linux.intelRdt.schemata },
      enable_monitoring:
        linux.intelRdt.enableMonitoring === undefined
          ? undefined
          : { value: linux.intelRdt.enableMonitoring },
    },
  };
}

function numberOf(names: Readonly<Record<string, number>>, name: string): number {
  return names[name] ?? 0;
}

function describeProfile({ type, localhostRef }: SecurityProfile) {
  const types = {
    runtimeDefault: SecurityProfile_ProfileType.RUNTIME_DEFAULT,
    unconfined: SecurityProfile_ProfileType.UNCONFINED,
    localhost: SecurityProfile_ProfileType.LOCALHOST,
  };
  return { profile_type: types[type], localhost_ref: localhostRef };
}

function describeSeccomp(seccomp: OciSeccomp): LinuxSeccompInit {
  const optional = (value: number | undefined) => (value === undefined ? undefined : { value });
  return {
    default_action: seccomp.defaultAction,
    default_errno: optional(seccomp.defaultErrnoRet),
    architectures: seccomp.architectures ?? [],
    flags: seccomp.flags ?? [],
    listener_path: seccomp.listenerPath ?? '',
    listener_metadata: seccomp.listenerMetadata ?? '',
    syscalls: (seccomp.syscalls ?? []).map(({ names, action, errnoRet, args }) => ({
      names,
      action,
      errno_ret: optional(errnoRet),
      args: (args ?? []).map(({ index, value, valueTwo, op }) => ({
        index,
        value: exactly(value),
        value_two: exactly(valueTwo ?? 0),
        op,
      })),
    })),
  };
}
