/**
 * Records that cannot be read: made into records of state `unknown`, so that the client sees them and can stop and remove
 * them. Everything that clean-up needs follows from the id; what names the pod is taken from the damaged text where it can
 * still be made out, and from what stands on the machine.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readText } from '#host/cgroup.ts';
import { nowNs } from '#host/clock.ts';
import { findProcess, type ProcessIdentity } from '#host/proc.ts';
import type { ImageId } from '#images/contract.ts';
import type { DamagedRecord } from '#state/record-table.ts';
import type { ContainerConfig, ContainerId } from './container/config.ts';
import type { ContainerRecord } from './container/record.ts';
import type { HandlerTable } from './handlers.ts';
import { findMonitor } from './monitor/end-monitor.ts';
import type { RuntimePaths } from './paths.ts';
import type { NamespaceOptions, SandboxConfig, SandboxId } from './sandbox/config.ts';
import type { SandboxRecord } from './sandbox/record.ts';

const reason = 'RecordDamaged';

const podNamespaces: NamespaceOptions = {
  network: 'pod',
  pid: 'container',
  ipc: 'pod',
  targetId: '',
  userns: undefined,
};

/** The first flat object that stands under `key` in a JSON text that need not be whole; {} if there is none. */
function flatObject(text: string, key: string): Record<string, unknown> {
  const match = new RegExp(`"${key}":(\\{[^{}]*\\})`).exec(text);
  try {
    return match ? (JSON.parse(match[1]!) as Record<string, unknown>) : {};
  } catch {
    return {}; // damaged just there
  }
}

function strings(values: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  );
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
const countOf = (value: unknown): number => (typeof value === 'number' && value >= 0 ? value : 0);

function stringUnder(text: string, key: string): string {
  return new RegExp(`"${key}":"([^"\\\\]*)"`).exec(text)?.[1] ?? '';
}

/** A sandbox of which only the id is sure. */
export function quarantineSandbox({ id, text }: DamagedRecord, paths: RuntimePaths): SandboxRecord {
  const metadata = flatObject(text, 'metadata');
  const config: SandboxConfig = {
    metadata: {
      name: textOf(metadata.name),
      uid: textOf(metadata.uid),
      namespace: textOf(metadata.namespace),
      attempt: countOf(metadata.attempt),
    },
    hostname: '',
    logDirectory: stringUnder(text, 'logDirectory'),
    dns: undefined,
    portMappings: [],
    labels: strings(flatObject(text, 'labels')),
    annotations: strings(flatObject(text, 'annotations')),
    cgroupParent: '',
    sysctls: {},
    security: {
      namespaces: podNamespaces,
      selinux: undefined,
      runAsUser: undefined,
      runAsGroup: undefined,
      readonlyRootfs: false,
      supplementalGroups: [],
      isPrivileged: false,
      seccomp: undefined,
      apparmor: undefined,
    },
    overhead: undefined,
    resources: undefined,
  };
  return {
    id: id as SandboxId,
    state: 'unknown',
    config,
    runtimeHandler: '',
    createdAtNs: nowNs(),
    ips: [],
    // All that it may have had: unpinning what is not there does nothing.
    netnsPath: paths.netns(id),
    ipcnsPath: paths.ipcns(id),
    utsnsPath: paths.utsns(id),
    usernsPath: paths.userns(id),
    init: undefined,
    cniResult: null,
    isRemoving: false,
  };
}

/** A container of which only the id is sure. Its process is looked for, so that stopping it ends it. */
export function quarantineContainer(
  { id, text, problem }: DamagedRecord,
  paths: RuntimePaths,
  handlers: HandlerTable,
): ContainerRecord {
  const spec = readSpec(paths.bundle(id));
  const metadata = flatObject(text, 'metadata');
  const sandboxId = stringUnder(text, 'sandboxId') || spec.annotations['io.kubernetes.cri.sandbox-id'] || '';
  const name = textOf(metadata.name) || spec.annotations['io.kubernetes.cri.container-name'] || '';
  const image = spec.annotations['io.kubernetes.cri.image-name'] ?? '';
  const config: ContainerConfig = {
    metadata: { name, attempt: countOf(metadata.attempt) },
    image: { image, annotations: {}, userSpecifiedImage: '', runtimeHandler: '' },
    command: [],
    args: [],
    workingDir: '',
    envs: [],
    mounts: [],
    devices: [],
    labels: strings(flatObject(text, 'labels')),
    annotations: strings(flatObject(text, 'annotations')),
    logPath: '',
    hasStdin: false,
    stdinOnce: false,
    hasTty: false,
    resources: undefined,
    security: {
      // As if it shared its PID namespace: then stopping it kills its whole cgroup.
      namespaces: { ...podNamespaces, pid: 'pod' },
      capabilities: { add: [], drop: [], addAmbient: [] },
      isPrivileged: false,
      selinux: undefined,
      runAsUser: undefined,
      runAsGroup: undefined,
      runAsUsername: '',
      readonlyRootfs: false,
      supplementalGroups: [],
      supplementalGroupsPolicy: 'merge',
      seccomp: undefined,
      apparmor: undefined,
      noNewPrivs: false,
      maskedPaths: [],
      readonlyPaths: [],
    },
    cdiDevices: [],
    stopSignal: '',
  };
  return {
    id: id as ContainerId,
    sandboxId: sandboxId as SandboxId,
    state: 'unknown',
    config,
    imageName: image,
    imageRef: stringUnder(text, 'imageRef'),
    imageId: stringUnder(text, 'imageId') as ImageId,
    createdAtNs: nowNs(),
    startedAtNs: 0n,
    finishedAtNs: 0n,
    exitCode: 0,
    reason,
    message: `the record of this container cannot be read (${problem}); stop and remove it`,
    logPath: stringUnder(text, 'logPath').startsWith('/') ? stringUnder(text, 'logPath') : '',
    stopSignal: 'SIGTERM',
    resources: undefined,
    user: { uid: 0, gid: 0, additionalGids: [] },
    process: findContainerProcess(paths.bundle(id), id),
    monitor: findMonitor(paths.bundle(id)),
    handler: handlers.owner(id, '').name,
    cgroupsPath: spec.cgroupsPath,
    isRemoving: false,
  };
}

function readSpec(bundle: string): { annotations: Record<string, string>; cgroupsPath: string } {
  try {
    const spec = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')) as {
      annotations?: Record<string, string>;
      linux?: { cgroupsPath?: string };
    };
    return { annotations: spec.annotations ?? {}, cgroupsPath: spec.linux?.cgroupsPath ?? '' };
  } catch {
    return { annotations: {}, cgroupsPath: '' }; // the bundle is gone, or was never finished
  }
}

/** The container's first process by the monitor's pid file; its cgroup, which carries the id, tells that the pid is still its own. */
function findContainerProcess(bundle: string, id: string): ProcessIdentity | undefined {
  const pid = Number(readText(join(bundle, 'container.pid'))?.trim() || 0);
  if (pid === 0 || !(readText(`/proc/${pid}/cgroup`) ?? '').includes(id)) return undefined;
  return findProcess(pid);
}
