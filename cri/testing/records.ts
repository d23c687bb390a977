/** Records for tests, filled with plausible values. */
import type { ImageId } from '#images/contract.ts';
import type { ContainerConfig, ContainerId } from '#runtime/container/config.ts';
import type { ContainerRecord } from '#runtime/container/record.ts';
import type { SandboxConfig, SandboxId } from '#runtime/sandbox/config.ts';
import type { SandboxRecord } from '#runtime/sandbox/record.ts';

/** A full id from a few digits. */
export function idOf(digits: string): string {
  return digits.padEnd(64, '0');
}

const namespaces = { network: 'pod', pid: 'container', ipc: 'pod', targetId: '', userns: undefined } as const;

export function sandboxConfig(change: Partial<SandboxConfig> = {}): SandboxConfig {
  return {
    metadata: { name: 'pod', uid: 'uid-1', namespace: 'default', attempt: 0 },
    hostname: 'pod',
    logDirectory: '/var/log/pods/x',
    dns: undefined,
    portMappings: [],
    labels: { app: 'web' },
    annotations: { note: '' },
    cgroupParent: '/kubepods',
    sysctls: {},
    security: {
      namespaces,
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
    ...change,
  };
}

export function sandboxRecord(digits: string, change: Partial<SandboxRecord> = {}): SandboxRecord {
  return {
    id: idOf(digits) as SandboxId,
    state: 'ready',
    config: sandboxConfig(),
    runtimeHandler: '',
    createdAtNs: 1_700_000_000_000_000_001n,
    ips: ['10.88.0.2', 'fd00::2'],
    netnsPath: '/run/netns/berth-x',
    ipcnsPath: '/run/berth/namespaces/x.ipc',
    utsnsPath: '/run/berth/namespaces/x.uts',
    usernsPath: '',
    init: undefined,
    cniResult: { cniVersion: '1.0.0' },
    isRemoving: false,
    ...change,
  };
}

export function containerConfig(change: Partial<ContainerConfig> = {}): ContainerConfig {
  return {
    metadata: { name: 'main', attempt: 1 },
    image: { image: 'busybox', annotations: {}, userSpecifiedImage: 'busybox', runtimeHandler: '' },
    command: [],
    args: [],
    workingDir: '',
    envs: [],
    mounts: [],
    devices: [],
    labels: {},
    annotations: {},
    logPath: '',
    hasStdin: false,
    stdinOnce: false,
    hasTty: false,
    resources: undefined,
    security: {
      namespaces,
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
    ...change,
  };
}

export function containerRecord(digits: string, change: Partial<ContainerRecord> = {}): ContainerRecord {
  return {
    id: idOf(digits) as ContainerId,
    sandboxId: idOf('a') as SandboxId,
    state: 'running',
    config: containerConfig(),
    imageName: 'docker.io/library/busybox:latest',
    imageRef: 'docker.io/library/busybox@sha256:1',
    imageId: 'sha256:2' as ImageId,
    createdAtNs: 1_700_000_000_000_000_002n,
    startedAtNs: 1_700_000_000_000_000_003n,
    finishedAtNs: 0n,
    exitCode: 0,
    reason: '',
    message: '',
    logPath: '/var/log/pods/x/main/0.log',
    stopSignal: 'SIGTERM',
    resources: undefined,
    user: { uid: 0, gid: 0, additionalGids: [0] },
    process: undefined,
    monitor: undefined,
    handler: 'crun',
    cgroupsPath: '/kubepods/x',
    isRemoving: false,
    ...change,
  };
}
