/** A plan as requests of the CRI, and as what is written before. Pure: facts and folders are given. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import {
  managedByLabel,
  nameLabel,
  networkAnnotation,
  pidsLimitAnnotation,
  stopSecondsAnnotation,
} from '#base/managed-pod.ts';
import {
  type ContainerConfigInit,
  type MountInit,
  NamespaceMode,
  type PodSandboxConfigInit,
} from '#proto/generated/cri.ts';
import { CommandError } from '../command.ts';
import { portsAnnotation } from '../pod-request.ts';
import { formatPort } from '../port-flags.ts';
import type { ContainerPlan, MountPlan, PodFacts, PodPlan, VolumePlan } from './plan.ts';

/** The value of `managedByLabel` of what `berth play` makes. */
export const managedByPlay = 'berth-play';
/** What of a file a pod belongs to. */
export const ownerAnnotation = 'dev.berth/play-owner';
/** A digest of the pod's plan: another one is another pod. */
export const planAnnotation = 'dev.berth/play-plan';

/** Where things of pods lie on this machine. */
export interface PlayFolders {
  readonly logRoot: string;
  /** Volumes of pods, each in a folder named after its pod's uid. */
  readonly pods: string;
  /** The same in memory. */
  readonly podsInMemory: string;
  /** Where the daemon keeps volumes, by their names. */
  readonly volumes: ReadonlyMap<string, string>;
}

const network = { pod: NamespaceMode.POD, host: NamespaceMode.NODE, none: NamespaceMode.POD } as const;
const processes = {
  container: NamespaceMode.CONTAINER,
  pod: NamespaceMode.POD,
  host: NamespaceMode.NODE,
} as const;
const shared = { pod: NamespaceMode.POD, host: NamespaceMode.NODE } as const;

/** For digests: values that no pod has. */
const noFacts: PodFacts = { podIps: ['0.0.0.0'], hostIp: '', nodeName: '', cpus: 1, memoryBytes: 1 };

function namespacesOf(pod: PodPlan) {
  return { network: network[pod.network], pid: processes[pod.pid], ipc: shared[pod.ipc] };
}

export function toSandbox(pod: PodPlan, folders: PlayFolders): PodSandboxConfigInit {
  return {
    metadata: { name: pod.name, uid: pod.uid, namespace: pod.namespace, attempt: 0 },
    hostname: pod.hostname,
    log_directory: join(folders.logRoot, pod.uid),
    port_mappings: [...pod.ports],
    labels: { ...pod.labels, [managedByLabel]: managedByPlay },
    annotations: {
      ...pod.annotations,
      [ownerAnnotation]: pod.owner,
      [planAnnotation]: planDigest(pod),
      [stopSecondsAnnotation]: String(pod.stopSeconds),
      ...pod.marks,
      ...(pod.ports.length > 0 ? { [portsAnnotation]: pod.ports.map(formatPort).join(', ') } : {}),
      ...(pod.network === 'none' ? { [networkAnnotation]: 'none' } : {}),
    },
    ...(pod.dns === undefined ? {} : { dns_config: pod.dns }),
    linux: {
      security_context: {
        namespace_options: namespacesOf(pod),
        privileged: pod.containers.some(({ security }) => security.privileged === true),
        seccomp: pod.seccomp,
      },
      sysctls: pod.sysctls,
    },
  };
}

/** `hostsFile` is mounted over the daemon's /etc/hosts; undefined leaves that. */
export function toContainerRequest(
  pod: PodPlan,
  container: ContainerPlan,
  facts: PodFacts,
  folders: PlayFolders,
  hostsFile: string | undefined,
): ContainerConfigInit {
  const environment = environmentOf(container, facts);
  const expand = (text: string): string =>
    container.expandsVariables ? expandVariables(text, environment) : text;
  const mounts = container.mounts.map((mount) => toMount(pod, container, mount, facts, folders));
  return {
    metadata: { name: container.name, attempt: 0 },
    image: { image: container.image, user_specified_image: container.image },
    command: container.command.map(expand),
    args: container.args.map(expand),
    working_dir: container.workingDir,
    envs: [...environment].map(([key, value]) => ({ key, value: Buffer.from(value) as never })),
    mounts:
      hostsFile === undefined || container.mounts.some(({ path }) => path === '/etc/hosts')
        ? mounts
        : [...mounts, { container_path: '/etc/hosts', host_path: hostsFile }],
    labels: { ...pod.labels, [managedByLabel]: managedByPlay, [nameLabel]: container.fullName },
    annotations: {
      [stopSecondsAnnotation]: String(pod.stopSeconds),
      ...pod.marks,
      ...(pod.ports.length > 0 ? { [portsAnnotation]: pod.ports.map(formatPort).join(', ') } : {}),
      ...(container.pidsLimit === undefined ? {} : { [pidsLimitAnnotation]: String(container.pidsLimit) }),
    },
    log_path: `${container.name}.log`,
    stdin: container.stdin,
    stdin_once: container.stdinOnce,
    tty: container.tty,
    stop_signal: container.stopSignal,
    linux: {
      resources: container.resources,
      security_context: { ...container.security, namespace_options: namespacesOf(pod) },
    },
  };
}

/** The last of a name counts, and a value may use those before it. */
export function environmentOf(container: ContainerPlan, facts: PodFacts): Map<string, string> {
  const found = new Map<string, string>();
  for (const { name, value } of container.environment) {
    const text = value(facts);
    if (text !== undefined) found.set(name, container.expandsVariables ? expandVariables(text, found) : text);
  }
  return found;
}

/** Kubernetes' `$(NAME)`; `$$(NAME)` is `$(NAME)`, and a name that is not known stays as it is written. */
export function expandVariables(text: string, environment: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$\$|\$\(([^()]*)\)/g, (whole, name: string | undefined) =>
    name === undefined ? '$' : (environment.get(name) ?? whole),
  );
}

/** Where a mount's content is on this machine. */
export function mountSource(
  pod: PodPlan,
  container: ContainerPlan,
  mount: MountPlan,
  facts: PodFacts,
  folders: PlayFolders,
): { readonly folder: string; readonly subPath: string } {
  const subPath = mount.expandsSubPath
    ? expandVariables(mount.subPath, environmentOf(container, facts))
    : mount.subPath;
  if (subPath.startsWith('/') || subPath.split('/').includes('..'))
    throw new CommandError(
      `${container.fullName}: the subPath ${subPath} leads out of the volume ${mount.volume}`,
    );
  return { folder: volumeFolder(pod, mount.volume, pod.volumes[mount.volume]!, folders), subPath };
}

export function volumeFolder(pod: PodPlan, name: string, volume: VolumePlan, folders: PlayFolders): string {
  switch (volume.kind) {
    case 'scratch':
      return join(volume.inMemory ? folders.podsInMemory : folders.pods, pod.uid, 'volumes', name);
    case 'files':
      return join(folders.podsInMemory, pod.uid, 'volumes', name);
    case 'named':
      return folders.volumes.get(volume.name) ?? '';
    case 'host':
      return volume.path;
    case 'image':
      return '';
  }
}

function toMount(
  pod: PodPlan,
  container: ContainerPlan,
  mount: MountPlan,
  facts: PodFacts,
  folders: PlayFolders,
): MountInit {
  const { folder, subPath } = mountSource(pod, container, mount, facts, folders);
  const volume = pod.volumes[mount.volume]!;
  const rest = {
    container_path: mount.path,
    readonly: mount.isReadOnly || volume.kind === 'image' || volume.kind === 'files',
    recursive_read_only: mount.isRecursivelyReadOnly,
    propagation: mount.propagation,
  };
  return volume.kind === 'image'
    ? { ...rest, image: { image: volume.image, user_specified_image: volume.image }, image_sub_path: subPath }
    : { ...rest, host_path: join(folder, subPath) };
}

/** The text of /etc/hosts: the pod itself, lines of its own, its siblings. */
export function hostsText(
  pod: PodPlan,
  ips: readonly string[],
  siblings: readonly { readonly ip: string; readonly names: readonly string[] }[],
): string {
  const own = pod.hostname.includes('.') ? [pod.hostname, pod.hostname.split('.')[0]!] : [pod.hostname];
  const lines = [
    ['127.0.0.1', 'localhost'],
    ['::1', 'localhost ip6-localhost ip6-loopback'],
    ...ips.map((ip) => [ip, own.join(' ')]),
    ...(pod.hosts ?? []).map(({ ip, names }) => [ip, names.join(' ')]),
    ...siblings.map(({ ip, names }) => [ip, names.join(' ')]),
  ];
  return `${lines.map(([ip, names]) => `${ip}\t${names}`).join('\n')}\n`;
}

/** The same for the same plan, whoever plays it and when. */
export function planDigest(pod: PodPlan): string {
  const plain = {
    ...pod,
    volumes: Object.entries(pod.volumes).map(([name, volume]) => [
      name,
      volume.kind === 'files'
        ? volume.files.map(({ path, mode, content }) => [path, mode, content(noFacts).toString('base64')])
        : volume,
    ]),
    containers: pod.containers.map((container) => ({
      ...container,
      environment: container.environment.map(({ name, value }) => [name, value(noFacts)]),
    })),
  };
  const text = JSON.stringify(plain, (_key, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
