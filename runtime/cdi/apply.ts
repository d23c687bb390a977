/** CDI edits onto an OCI spec. Pure: what must be asked of the host is asked through `lookUpDevice`. */
import { RuntimeError } from '#base/errors.ts';
import { withHooks } from '../spec/hooks.ts';
import { cleanPath, inMountOrder } from '../spec/mounts.ts';
import type { OciDevice, OciDeviceRule, OciMount, OciSpec } from '../spec/oci-spec.ts';
import type { CdiDeviceNode, CdiEdits, CdiMount } from './specification.ts';

export interface HostDeviceNumbers {
  readonly type: 'c' | 'b' | 'p';
  readonly major: number;
  readonly minor: number;
}

export interface ApplyOptions {
  /** The node at a path of the host. Throws for what is none. */
  readonly lookUpDevice: (hostPath: string) => HostDeviceNumbers;
  /** Whether the OCI runtime makes idmapped mounts. */
  readonly hasIdmappedMounts: boolean;
}

/**
 * The spec with `edits` made in order. A variable, device or mount takes the place of the one with its name or path; hooks
 * and groups are added. Throws what `lookUpDevice` throws, and FailedPrecondition for a device node whose type on the
 * host is another one. Source: CDI SPEC.md, Container Edits.
 */
export function withCdiEdits(spec: OciSpec, edits: readonly CdiEdits[], options: ApplyOptions): OciSpec {
  return edits.reduce((edited, step) => withEdits(edited, step, options), spec);
}

function withEdits(spec: OciSpec, edits: CdiEdits, options: ApplyOptions): OciSpec {
  const isUserNamespaced = spec.linux.namespaces.some(({ type }) => type === 'user');
  const { uid, gid } = spec.process.user;
  const devices = new Map((spec.linux.devices ?? []).map((device) => [device.path, device]));
  const rules = [...(spec.linux.resources.devices ?? [])];
  const mounts = new Map(spec.mounts.map((mount) => [mount.destination, mount]));
  for (const node of edits.deviceNodes) {
    const device = completed(node, options, { uid, gid });
    devices.delete(device.path);
    // A user namespace may make no nodes; OCI runtimes bind the host's there, but look for it at the node's own path.
    if (isUserNamespaced && node.hostPath !== '' && node.hostPath !== node.path)
      mounts.set(device.path, bindOfNode(node.hostPath, device.path));
    else devices.set(device.path, device);
    if (device.type !== 'p') rules.push(ruleFor(device, node.access));
  }
  for (const mount of edits.mounts) {
    const destination = cleanPath(mount.containerPath);
    mounts.delete(destination);
    const made = mountFor(mount, destination);
    mounts.set(destination, isUserNamespaced && options.hasIdmappedMounts ? idmapped(made, spec) : made);
  }
  const groups = new Set([...(spec.process.user.additionalGids ?? []), ...edits.additionalGids]);
  return withHooks(
    {
      ...spec,
      process: {
        ...spec.process,
        env: withVariables(spec.process.env, edits.env),
        user: { ...spec.process.user, additionalGids: [...groups] },
      },
      mounts: inMountOrder([...mounts.values()]),
      linux: {
        ...spec.linux,
        resources: { ...spec.linux.resources, devices: rules },
        ...(devices.size > 0 ? { devices: [...devices.values()] } : {}),
      },
    },
    edits.hooks,
  );
}

function withVariables(env: readonly string[], added: readonly string[]): string[] {
  const nameOf = (entry: string): string => entry.slice(0, entry.indexOf('='));
  const variables = new Map(env.map((entry) => [nameOf(entry), entry]));
  for (const entry of added) variables.set(nameOf(entry), entry);
  return [...variables.values()];
}

/** Numbers that the specification leaves open are those of the host's node; the owner is the container's user. */
function completed(
  node: CdiDeviceNode,
  options: ApplyOptions,
  owner: { uid: number; gid: number },
): OciDevice {
  const hostPath = node.hostPath || node.path;
  const uid = node.uid ?? (owner.uid > 0 ? owner.uid : undefined);
  const gid = node.gid ?? (owner.gid > 0 ? owner.gid : undefined);
  return {
    path: cleanPath(node.path),
    ...numbersOf(node, hostPath, options),
    ...(node.fileMode === undefined ? {} : { fileMode: node.fileMode }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  };
}

function numbersOf(
  node: CdiDeviceNode,
  hostPath: string,
  options: ApplyOptions,
): Pick<OciDevice, 'type' | 'major' | 'minor'> {
  if (node.type === 'p') return { type: 'p' };
  // Major 0 is no device's: writers of specifications leave it so for "not said".
  const isGiven = node.major !== undefined && node.major > 0;
  if (node.type !== undefined && isGiven)
    return { type: node.type, major: node.major, minor: node.minor ?? 0 };
  const found = options.lookUpDevice(hostPath);
  const type = node.type ?? found.type;
  if ((type === 'u' ? 'c' : type) !== found.type)
    throw new RuntimeError(
      'FailedPrecondition',
      `device node ${node.path} is to be of type ${type}, but ${hostPath} is of type ${found.type}`,
    );
  if (type === 'p') return { type };
  return isGiven
    ? { type, major: node.major, minor: node.minor ?? 0 }
    : { type, major: found.major, minor: found.minor };
}

function ruleFor(device: OciDevice, access: string): OciDeviceRule {
  const { major, minor } = device;
  return {
    allow: true,
    type: device.type === 'b' ? 'b' : 'c',
    ...(major === undefined ? {} : { major }),
    ...(minor === undefined ? {} : { minor }),
    access,
  };
}

function bindOfNode(hostPath: string, destination: string): OciMount {
  return { destination, type: 'bind', source: hostPath, options: ['bind', 'rprivate', 'nosuid', 'noexec'] };
}

const isBind = (options: readonly string[]): boolean => options.some((word) => /^r?bind$/.test(word));

function mountFor(mount: CdiMount, destination: string): OciMount {
  const isOther = mount.type !== '' && mount.type !== 'bind' && mount.type !== 'none';
  if (isOther && !isBind(mount.options))
    return { destination, type: mount.type, source: mount.hostPath, options: [...mount.options] };
  // A mount of no type is a bind mount, also where its options forget to say so.
  const options = isBind(mount.options) ? [...mount.options] : ['rbind', ...mount.options];
  return { destination, type: 'bind', source: mount.hostPath, options };
}

/** Files of the host keep their owners' ids in a pod whose ids are shifted. */
function idmapped(mount: OciMount, spec: OciSpec): OciMount {
  const { uidMappings, gidMappings } = spec.linux;
  const isMapped = mount.options?.some((word) => /^r?idmap$/.test(word)) ?? false;
  if (mount.type !== 'bind' || isMapped || !uidMappings || !gidMappings) return mount;
  return { ...mount, options: [...(mount.options ?? []), 'idmap'], uidMappings, gidMappings };
}
