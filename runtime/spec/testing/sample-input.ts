/** A plain request with every field set, for tests to vary. */
import type { ImageConfig } from '#images/contract.ts';
import type { ContainerConfig, ContainerSecurity } from '../../container/config.ts';
import type { NamespaceOptions, SandboxConfig, SandboxSecurity } from '../../sandbox/config.ts';
import { knownCapabilities } from '../capabilities.ts';
import type { ContainerSpecInput, HostFacts } from '../inputs.ts';

export const podNamespaces: NamespaceOptions = {
  network: 'pod',
  pid: 'container',
  ipc: 'pod',
  targetId: '',
  userns: undefined,
};

export const nodeNamespaces: NamespaceOptions = {
  ...podNamespaces,
  network: 'node',
  pid: 'node',
  ipc: 'node',
};

const sampleHost: HostFacts = {
  cgroupVersion: 2,
  cgroupDriver: 'cgroupfs',
  hasSwapController: true,
  hasHugetlbController: true,
  boundingCapabilities: knownCapabilities,
  isAppArmorEnabled: false,
  isSelinuxEnabled: false,
  ownOomScoreAdj: -999,
  canLowerOomScore: true,
  architecture: 'amd64',
  hasRecursiveReadonly: true,
  hasIdmappedMounts: true,
  kernelVersion: '6.12.1',
};

const sampleSecurity: ContainerSecurity = {
  namespaces: podNamespaces,
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
  maskedPaths: ['/proc/kcore', '/sys/firmware'],
  readonlyPaths: ['/proc/sys'],
};

const sampleConfig: ContainerConfig = {
  metadata: { name: 'web', attempt: 0 },
  image: {
    image: 'registry.example/web:1',
    annotations: {},
    userSpecifiedImage: 'web:1',
    runtimeHandler: '',
  },
  command: [],
  args: [],
  workingDir: '',
  envs: [],
  mounts: [],
  devices: [],
  labels: {},
  annotations: {},
  logPath: 'web/0.log',
  hasStdin: false,
  stdinOnce: false,
  hasTty: false,
  resources: undefined,
  security: sampleSecurity,
  cdiDevices: [],
  stopSignal: '',
};

const sampleSandboxSecurity: SandboxSecurity = {
  namespaces: podNamespaces,
  selinux: undefined,
  runAsUser: undefined,
  runAsGroup: undefined,
  readonlyRootfs: false,
  supplementalGroups: [],
  isPrivileged: false,
  seccomp: undefined,
  apparmor: undefined,
};

const sampleSandbox: SandboxConfig = {
  metadata: { name: 'shop', uid: '7d1f', namespace: 'default', attempt: 0 },
  hostname: 'shop',
  logDirectory: '/var/log/pods/default_shop_7d1f',
  dns: undefined,
  portMappings: [],
  labels: {},
  annotations: {},
  cgroupParent: '/kubepods/burstable/pod7d1f',
  sysctls: {},
  security: sampleSandboxSecurity,
  overhead: undefined,
  resources: undefined,
};

const sampleImage: ImageConfig = {
  user: '',
  env: ['PATH=/usr/bin:/bin', 'LANG=C'],
  entrypoint: ['/bin/web'],
  command: ['--serve'],
  workingDir: '/srv',
  volumes: [],
  stopSignal: '',
  labels: {},
};

export interface SampleVariation {
  readonly config?: Partial<ContainerConfig>;
  readonly security?: Partial<ContainerSecurity>;
  readonly sandbox?: Partial<SandboxConfig>;
  readonly sandboxSecurity?: Partial<SandboxSecurity>;
  readonly image?: Partial<ImageConfig>;
  readonly host?: Partial<HostFacts>;
  readonly input?: Partial<ContainerSpecInput>;
}

/** The plain request with `variation` laid over it. */
export function sampleInput(variation: SampleVariation = {}): ContainerSpecInput {
  return {
    containerId: 'c0ffee',
    sandboxId: '5a4d',
    config: {
      ...sampleConfig,
      ...variation.config,
      security: { ...sampleSecurity, ...variation.security },
    },
    sandboxConfig: sampleSandboxConfig(variation),
    imageConfig: { ...sampleImage, ...variation.image },
    imageReference: 'registry.example/web:1',
    host: { ...sampleHost, ...variation.host },
    paths: {
      netnsPath: '/run/berth/ns/5a4d/net',
      ipcnsPath: '/run/berth/ns/5a4d/ipc',
      utsnsPath: '/run/berth/ns/5a4d/uts',
      usernsPath: '',
      pidnsPath: '',
      shmPath: '/run/berth/sandboxes/5a4d/shm',
      resolvConfPath: '/run/berth/sandboxes/5a4d/resolv.conf',
      hostnamePath: '/run/berth/sandboxes/5a4d/hostname',
      hostsPath: '/run/berth/sandboxes/5a4d/hosts',
    },
    rootfsPath: '/run/berth/containers/c0ffee/rootfs',
    user: { uid: 0, gid: 0, additionalGids: [0], home: '/root' },
    mounts: [],
    devices: [],
    localhostSeccompProfile: undefined,
    targetPidnsPath: '',
    hostname: 'shop',
    defaultPidsLimit: 0,
    ...variation.input,
  };
}

/** The sandbox of the plain request with `variation` laid over it. */
export function sampleSandboxConfig(variation: SampleVariation = {}): SandboxConfig {
  return {
    ...sampleSandbox,
    ...variation.sandbox,
    security: { ...sampleSandboxSecurity, ...variation.sandboxSecurity },
  };
}

/** What a node's container facts are when nothing is varied. */
export function sampleHostFacts(variation: Partial<HostFacts> = {}): HostFacts {
  return { ...sampleHost, ...variation };
}
