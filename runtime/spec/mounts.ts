/**
 * The mounts of a container: what every container needs, with what was requested in its place or beside it (CRI Mount;
 * OCI config.md Mounts). Parents come before children, and the order is otherwise kept.
 */
import { posix } from 'node:path';
import { RuntimeError } from '#base/errors.ts';
import type { ContainerSpecInput, ResolvedMount } from './inputs.ts';
import { type EffectiveNamespaces, idMappings } from './namespaces.ts';
import type { OciMount } from './oci-spec.ts';

export interface MountsInput {
  readonly effective: EffectiveNamespaces;
  readonly config: {
    readonly security: { readonly isPrivileged: boolean; readonly readonlyRootfs: boolean };
  };
  readonly host: Pick<ContainerSpecInput['host'], 'hasRecursiveReadonly' | 'hasIdmappedMounts'>;
  readonly paths: Pick<
    ContainerSpecInput['paths'],
    'shmPath' | 'resolvConfPath' | 'hostnamePath' | 'hostsPath'
  >;
  readonly mounts: readonly ResolvedMount[];
}

const propagationOptions = {
  private: 'rprivate',
  hostToContainer: 'rslave',
  bidirectional: 'rshared',
} as const;

/**
 * All mounts in the order to make them. A requested mount replaces the base mount at its path, and one of /dev or /sys the
 * base mounts below that too. Throws InvalidArgument: a path that is empty or the root itself, recursive read-only that
 * is not also read-only and private; with a text starting `RROUnsupported` when the OCI runtime lacks it (CRI api errors).
 * Throws FailedPrecondition where id mappings are asked of an OCI runtime without them.
 */
export function containerMounts(input: MountsInput): OciMount[] {
  const requested = input.mounts.map((mount) => requestedMount(mount, input.host));
  const replaced = new Set(requested.map((mount) => mount.destination));
  const base = baseMounts(input).filter(
    ({ destination }) => !replaced.has(destination) && !isBelowReplaced(destination, replaced),
  );
  return inMountOrder([...base, ...requested]);
}

/** Parents before children, the order otherwise kept. */
export function inMountOrder(mounts: readonly OciMount[]): OciMount[] {
  return [...mounts].sort((a, b) => depthOf(a.destination) - depthOf(b.destination));
}

/** The spec's rootfsPropagation: events must be let through to the mounts that want them (mount_namespaces(7)). */
export function rootfsPropagation(mounts: readonly ResolvedMount[]): 'rshared' | 'rslave' | undefined {
  if (mounts.some((mount) => mount.propagation === 'bidirectional')) return 'rshared';
  return mounts.some((mount) => mount.propagation === 'hostToContainer') ? 'rslave' : undefined;
}

function isBelowReplaced(destination: string, replaced: ReadonlySet<string>): boolean {
  return ['/dev', '/sys'].some((parent) => replaced.has(parent) && destination.startsWith(`${parent}/`));
}

function depthOf(destination: string): number {
  return destination.split('/').length;
}

function baseMounts(input: MountsInput): OciMount[] {
  const mode = input.config.security.isPrivileged ? 'rw' : 'ro';
  const fileMode = input.config.security.readonlyRootfs ? 'ro' : 'rw';
  const mounts: OciMount[] = [
    procMount(input.effective),
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    sysMount(input, mode),
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    shmMount(input),
    ...mqueueMounts(input.effective),
    {
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: ['nosuid', 'noexec', 'nodev', 'relatime', mode],
    },
  ];
  const { resolvConfPath, hostnamePath, hostsPath } = input.paths;
  for (const [source, destination] of [
    [resolvConfPath, '/etc/resolv.conf'],
    [hostnamePath, '/etc/hostname'],
    [hostsPath, '/etc/hosts'],
  ] as const) {
    if (source !== '') mounts.push(bind(source, destination, ['rbind', 'rprivate', fileMode]));
  }
  return mounts;
}

// The kernel lets a user namespace mount proc, mqueue and sysfs only for PID, IPC and network namespaces that it owns. Where
// those are the node's, the node's own proc and sysfs are shown instead; its mqueue may be mounted nowhere, so none is.
function procMount(effective: EffectiveNamespaces): OciMount {
  if (effective.userns !== undefined && effective.pid === 'node') {
    return bind('/proc', '/proc', ['rbind', 'nosuid', 'noexec', 'nodev']);
  }
  return {
    destination: '/proc',
    type: 'proc',
    source: 'proc',
    options: ['nosuid', 'noexec', 'nodev'],
  };
}

function mqueueMounts(effective: EffectiveNamespaces): OciMount[] {
  if (effective.userns !== undefined && effective.isIpcHost) return [];
  return [
    {
      destination: '/dev/mqueue',
      type: 'mqueue',
      source: 'mqueue',
      options: ['nosuid', 'noexec', 'nodev'],
    },
  ];
}

function sysMount(input: MountsInput, mode: 'rw' | 'ro'): OciMount {
  const { effective } = input;
  if (effective.userns !== undefined && effective.isNetworkHost) {
    const recursive = input.host.hasRecursiveReadonly ? 'rro' : 'ro';
    return bind('/sys', '/sys', ['rbind', 'nosuid', 'noexec', 'nodev', recursive]);
  }
  return {
    destination: '/sys',
    type: 'sysfs',
    source: 'sysfs',
    options: ['nosuid', 'noexec', 'nodev', mode],
  };
}

function shmMount(input: MountsInput): OciMount {
  // The node's own shm keeps the flags that the node gave it.
  if (input.effective.isIpcHost) return bind('/dev/shm', '/dev/shm', ['rbind', 'rw']);
  if (input.paths.shmPath === '') {
    throw new RuntimeError('FailedPrecondition', "the sandbox's /dev/shm does not exist");
  }
  return bind(input.paths.shmPath, '/dev/shm', ['rbind', 'nosuid', 'noexec', 'nodev', 'rw']);
}

function bind(source: string, destination: string, options: string[]): OciMount {
  return { destination, type: 'bind', source, options };
}

function requestedMount(mount: ResolvedMount, host: MountsInput['host']): OciMount {
  if (mount.containerPath === '' || mount.containerPath.includes('\0')) {
    throw new RuntimeError('InvalidArgument', `mount of ${mount.hostPath} has no container path`);
  }
  const destination = cleanPath(mount.containerPath);
  if (destination === '/') {
    throw new RuntimeError('InvalidArgument', `mount of ${mount.hostPath} would cover the root file system`);
  }
  const options = [
    'rbind',
    propagationOptions[mount.propagation],
    accessOption(mount, host),
    ...(mount.extraOptions ?? []),
  ];
  const made = bind(mount.hostPath, destination, options);
  if (mount.uidMappings.length === 0 && mount.gidMappings.length === 0) return made;
  if (!host.hasIdmappedMounts) {
    throw new RuntimeError(
      'FailedPrecondition',
      `mount at ${destination} needs id mappings, which the OCI runtime does not support`,
    );
  }
  return {
    ...made,
    options: [...options, 'idmap'],
    uidMappings: idMappings(mount.uidMappings),
    gidMappings: idMappings(mount.gidMappings),
  };
}

function accessOption(mount: ResolvedMount, host: MountsInput['host']): 'ro' | 'rro' | 'rw' {
  if (!mount.isRecursiveReadonly) return mount.isReadonly ? 'ro' : 'rw';
  if (!mount.isReadonly || mount.propagation !== 'private') {
    throw new RuntimeError(
      'InvalidArgument',
      `mount at ${mount.containerPath} is recursively read-only, so it must be read-only with private propagation`,
    );
  }
  if (!host.hasRecursiveReadonly) {
    throw new RuntimeError(
      'InvalidArgument',
      `RROUnsupported: mount at ${mount.containerPath} is recursively read-only, which the OCI runtime does not support`,
    );
  }
  return 'rro';
}

/** Absolute, without `.`, `..`, doubled or trailing slashes. */
export function cleanPath(path: string): string {
  const joined = posix.join('/', path);
  return joined.length > 1 && joined.endsWith('/') ? joined.slice(0, -1) : joined;
}
