/** Records for tests of figures: whole in type, plain in content. */

import { openDatabase } from '#state/database.ts';
import { RecordTable } from '#state/record-table.ts';
import type { ContainerConfig, ContainerId } from '../../container/config.ts';
import type { ContainerRecord } from '../../container/record.ts';
import { RecordStore } from '../../record-store.ts';
import type { NamespaceOptions, SandboxId } from '../../sandbox/config.ts';
import type { SandboxRecord } from '../../sandbox/record.ts';

export function recordStores(): {
  sandboxes: RecordStore<SandboxRecord>;
  containers: RecordStore<ContainerRecord>;
} {
  const database = openDatabase(':memory:');
  return {
    sandboxes: new RecordStore(new RecordTable<SandboxRecord>(database, 'sandboxes', () => true), 'sandbox'),
    containers: new RecordStore(
      new RecordTable<ContainerRecord>(database, 'containers', () => true),
      'container',
      (container) => container.sandboxId,
    ),
  };
}

/** 64 hexadecimal digits made of a short name. */
export function idOf(name: string): string {
  return Buffer.from(name).toString('hex').padEnd(64, '0');
}

const namespaces: NamespaceOptions = {
  network: 'pod',
  pid: 'container',
  ipc: 'pod',
  targetId: '',
  userns: undefined,
};

export function sandboxRecord(
  name: string,
  change: Partial<SandboxRecord> = {},
  cgroupParent = '',
): SandboxRecord {
  return {
    id: idOf(name) as SandboxId,
    state: 'ready',
    config: {
      metadata: { name, uid: `uid-${name}`, namespace: 'default', attempt: 0 },
      hostname: name,
      logDirectory: '',
      dns: undefined,
      portMappings: [],
      labels: { app: name },
      annotations: {},
      cgroupParent,
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
    },
    runtimeHandler: '',
    createdAtNs: 1n,
    ips: [],
    netnsPath: '',
    ipcnsPath: '',
    utsnsPath: '',
    usernsPath: '',
    init: undefined,
    cniResult: undefined,
    isRemoving: false,
    ...change,
  };
}

export function containerRecord(
  name: string,
  sandbox: string,
  change: Partial<ContainerRecord> = {},
): ContainerRecord {
  const id = idOf(name) as ContainerId;
  const config: ContainerConfig = {
    metadata: { name, attempt: 0 },
    image: { image: 'busybox', annotations: {}, userSpecifiedImage: 'busybox:1', runtimeHandler: '' },
    command: [],
    args: [],
    workingDir: '',
    envs: [],
    mounts: [],
    devices: [],
    labels: { app: name },
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
  };
  return {
    id,
    sandboxId: idOf(sandbox) as SandboxId,
    state: 'running',
    config,
    imageName: 'busybox:1',
    imageRef: 'busybox:1',
    imageId: 'sha256:0' as ContainerRecord['imageId'],
    createdAtNs: 1n,
    startedAtNs: 2n,
    finishedAtNs: 0n,
    exitCode: 0,
    reason: '',
    message: '',
    logPath: '',
    stopSignal: 'SIGTERM',
    resources: undefined,
    user: { uid: 0, gid: 0, additionalGids: [] },
    process: undefined,
    monitor: undefined,
    handler: 'crun',
    cgroupsPath: `/${id}`,
    isRemoving: false,
    ...change,
  };
}
