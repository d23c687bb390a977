/**
 * Which namespaces a container joins, makes or leaves to the host (CRI NamespaceOption, OCI config-linux.md Namespaces).
 * A pod's network, IPC, UTS and user namespaces are pinned files; a mount namespace is always the container's own.
 */
import { RuntimeError } from '#base/errors.ts';
import type { IdMapping, NamespaceOptions } from '../sandbox/config.ts';
import type { HostFacts, SandboxPaths } from './inputs.ts';
import type { OciIdMapping } from './oci-spec.ts';

export interface OciNamespace {
  type: string;
  path?: string;
}

/** What a container really gets once the sandbox has had its say. */
export interface EffectiveNamespaces {
  readonly isNetworkHost: boolean;
  readonly isIpcHost: boolean;
  readonly pid: 'pod' | 'container' | 'node' | 'target';
  readonly userns: NamespaceOptions['userns'];
}

/**
 * Whether the options may be those of a sandbox. Throws InvalidArgument: network neither pod nor node, target modes, or a
 * user namespace without exactly one uid and one gid range, alike and starting at id 0.
 */
export function checkSandboxNamespaces(options: NamespaceOptions): void {
  checkModes(options);
  if (options.pid === 'target') {
    throw new RuntimeError(
      'InvalidArgument',
      'pid namespace mode target is for containers, not for sandboxes',
    );
  }
  if (options.userns !== undefined) checkUserns(options.userns);
}

/**
 * A container's namespaces within its sandbox. The pod's choice decides: where the sandbox is on the node, so is the
 * container. Throws InvalidArgument when a container asks for the node's namespace and its sandbox has its own, for a
 * pod's PID namespace that the sandbox does not have, or for a user namespace other than the sandbox's.
 */
export function effectiveNamespaces(
  container: NamespaceOptions,
  sandbox: NamespaceOptions,
): EffectiveNamespaces {
  checkModes(container);
  for (const name of ['network', 'ipc', 'pid'] as const) {
    if (container[name] === 'node' && sandbox[name] !== 'node') {
      throw new RuntimeError(
        'InvalidArgument',
        `the container asks for the node's ${name} namespace but its sandbox has its own`,
      );
    }
  }
  if (container.userns !== undefined && !isSameUserns(container.userns, sandbox.userns)) {
    throw new RuntimeError('InvalidArgument', "the container's user namespace differs from its sandbox's");
  }
  return {
    isNetworkHost: sandbox.network === 'node',
    isIpcHost: sandbox.ipc === 'node',
    pid: effectivePid(container, sandbox),
    userns: sandbox.userns,
  };
}

function effectivePid(container: NamespaceOptions, sandbox: NamespaceOptions): EffectiveNamespaces['pid'] {
  if (container.pid !== 'pod' || sandbox.pid === 'pod') return container.pid;
  if (sandbox.pid === 'node') return 'node';
  throw new RuntimeError(
    'InvalidArgument',
    "the container asks for the pod's PID namespace but its sandbox does not share one",
  );
}

function checkModes(options: NamespaceOptions): void {
  if (options.network !== 'pod' && options.network !== 'node') {
    throw new RuntimeError('InvalidArgument', `network namespace mode ${options.network} is not pod or node`);
  }
  if (options.ipc === 'target') {
    throw new RuntimeError('InvalidArgument', 'ipc namespace mode target is not supported, use pod or node');
  }
}

function checkUserns(userns: NonNullable<NamespaceOptions['userns']>): void {
  const [uid, ...moreUids] = userns.uids;
  const [gid, ...moreGids] = userns.gids;
  if (uid === undefined || gid === undefined || moreUids.length > 0 || moreGids.length > 0) {
    throw new RuntimeError(
      'InvalidArgument',
      `a user namespace needs exactly one uid and one gid range, not ${userns.uids.length} and ${userns.gids.length}`,
    );
  }
  for (const range of [uid, gid]) {
    if (range.containerId !== 0 || range.length < 1) {
      throw new RuntimeError(
        'InvalidArgument',
        `a user namespace must map ids from 0 on, not ${range.length} from ${range.containerId}`,
      );
    }
  }
  if (!isSameRange(uid, gid)) {
    throw new RuntimeError('InvalidArgument', "a user namespace's uid and gid ranges must be the same");
  }
}

function isSameUserns(a: NamespaceOptions['userns'], b: NamespaceOptions['userns']): boolean {
  if (a === undefined || b === undefined) return a === b;
  return isSameList(a.uids, b.uids) && isSameList(a.gids, b.gids);
}

function isSameList(a: readonly IdMapping[], b: readonly IdMapping[]): boolean {
  return a.length === b.length && a.every((range, index) => isSameRange(range, b[index]));
}

function isSameRange(a: IdMapping, b: IdMapping | undefined): boolean {
  return a.hostId === b?.hostId && a.containerId === b.containerId && a.length === b.length;
}

export interface NamespaceListInput {
  readonly effective: EffectiveNamespaces;
  readonly paths: Pick<SandboxPaths, 'netnsPath' | 'ipcnsPath' | 'utsnsPath' | 'usernsPath' | 'pidnsPath'>;
  readonly targetPidnsPath: string;
  readonly isPrivileged: boolean;
  readonly host: Pick<HostFacts, 'cgroupVersion'>;
}

/**
 * The list for a spec: a path joins, no path makes, absence leaves the host's. Throws FailedPrecondition when a namespace
 * that should be joined is not there.
 */
export function namespaceList(input: NamespaceListInput): OciNamespace[] {
  const { effective, paths } = input;
  const list: OciNamespace[] = [];
  if (effective.userns !== undefined) list.push(join('user', paths.usernsPath));
  if (effective.pid === 'container') list.push({ type: 'pid' });
  if (effective.pid === 'pod') list.push(join('pid', paths.pidnsPath));
  if (effective.pid === 'target') list.push(join('pid', input.targetPidnsPath));
  if (!effective.isNetworkHost) {
    list.push(join('network', paths.netnsPath));
    // A pod on the node's network keeps the node's host name too (CRI NamespaceMode).
    list.push(join('uts', paths.utsnsPath));
  }
  if (!effective.isIpcHost) list.push(join('ipc', paths.ipcnsPath));
  list.push({ type: 'mount' });
  // On v1 the hierarchies are separate mounts of which a namespace would hide nothing worth hiding.
  if (input.host.cgroupVersion === 2 && !input.isPrivileged) list.push({ type: 'cgroup' });
  return list;
}

/** The id mappings of a user namespace in the spec's words; the OCI runtimes want them even when they join it by path. */
export function idMappings(ranges: readonly IdMapping[]): OciIdMapping[] {
  return ranges.map((range) => ({
    containerID: range.containerId,
    hostID: range.hostId,
    size: range.length,
  }));
}

function join(type: string, path: string): OciNamespace {
  if (path === '') {
    throw new RuntimeError('FailedPrecondition', `the ${type} namespace to join does not exist`);
  }
  return { type, path };
}
