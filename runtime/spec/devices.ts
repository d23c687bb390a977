/**
 * Device nodes and the device cgroup (CRI Device; OCI config-linux.md Devices, Default Devices). The nodes null, zero,
 * full, random, urandom, tty and ptmx are made by every OCI runtime unasked; their access is granted here.
 */
import { RuntimeError } from '#base/errors.ts';
import type { ContainerSpecInput } from './inputs.ts';
import type { OciDevice, OciDeviceRule } from './oci-spec.ts';

type GrantedDevice = ContainerSpecInput['devices'][number];

/** Making nodes is harmless (use is what the cgroup judges), and the default nodes, terminals and consoles are open to all. */
const defaultRules: readonly OciDeviceRule[] = [
  { allow: false, access: 'rwm' },
  { allow: true, type: 'c', access: 'm' },
  { allow: true, type: 'b', access: 'm' },
  { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 5, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 7, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 8, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 9, access: 'rwm' },
  { allow: true, type: 'c', major: 5, minor: 0, access: 'rwm' },
  { allow: true, type: 'c', major: 5, minor: 1, access: 'rwm' },
  { allow: true, type: 'c', major: 5, minor: 2, access: 'rwm' },
  { allow: true, type: 'c', major: 136, access: 'rwm' },
];

/** What the container's own /dev provides, and what must not be copied from the node's (pseudo-terminals, sockets, udev). */
const ownOfContainer = /^\/dev\/(?:pts|shm|fd|mqueue|ptmx|console|\.\w[^/]*)(?:\/|$)/;

/**
 * Nodes to make and cgroup rules. Privileged: every node given and access to all. A later device at the same path replaces
 * an earlier one. Throws InvalidArgument for an access that is not made of r, w and m.
 */
export function containerDevices(
  granted: readonly GrantedDevice[],
  isPrivileged: boolean,
): { devices: OciDevice[]; rules: OciDeviceRule[] } {
  const byPath = new Map<string, GrantedDevice>();
  for (const entry of granted) byPath.set(checked(entry).device.path, entry);
  const devices = [...byPath.values()].map(({ device }) => ({ ...device }));
  if (isPrivileged) return { devices, rules: [{ allow: true, access: 'rwm' }] };
  const rules = defaultRules.map((rule) => ({ ...rule }));
  for (const { device, access } of byPath.values()) {
    // A fifo has no device number for the cgroup to judge.
    if (device.type !== 'p' && access !== '') rules.push(ruleFor(device, access));
  }
  return { devices, rules };
}

/** Whether a privileged container gets the node's device at `path`: all but those that its own /dev has of its own. */
export function isGivenToPrivileged(path: string): boolean {
  return !ownOfContainer.test(path);
}

/** The sandbox init's rules: the defaults. */
export function defaultDeviceRules(): OciDeviceRule[] {
  return defaultRules.map((rule) => ({ ...rule }));
}

function checked(entry: GrantedDevice): GrantedDevice {
  if (!/^[rwm]{0,3}$/.test(entry.access)) {
    throw new RuntimeError(
      'InvalidArgument',
      `device ${entry.device.path} is asked for with permissions ${JSON.stringify(entry.access)}, which are not of "rwm"`,
    );
  }
  return entry;
}

function ruleFor(device: OciDevice, access: string): OciDeviceRule {
  return {
    allow: true,
    type: device.type === 'u' ? 'c' : device.type,
    ...(device.major === undefined ? {} : { major: device.major }),
    ...(device.minor === undefined ? {} : { minor: device.minor }),
    access,
  };
}
