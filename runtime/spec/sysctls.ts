/**
 * Kernel parameters of a pod (CRI LinuxPodSandboxConfig.sysctls). Only those that belong to a namespace of the pod may be
 * set. They are written once, in the pod's pinned namespaces, before any container starts; no container's spec has them.
 */
import { RuntimeError } from '#base/errors.ts';
import type { NamespaceOptions } from '../sandbox/config.ts';

const ipcPrefixes = ['kernel.shm', 'kernel.msg', 'fs.mqueue.'];

/**
 * The parameters to write, by dotted name: ours for a pod with its own network and no user namespace (any user may bind
 * low ports and ping, as the peers have it), overridden by the request. Throws InvalidArgument for a parameter of the
 * node, of a namespace that the pod shares with the node, or that is no parameter name.
 */
export function sandboxSysctls(
  requested: Readonly<Record<string, string>>,
  namespaces: Pick<NamespaceOptions, 'network' | 'ipc' | 'userns'>,
): Record<string, string> {
  const sysctls: Record<string, string> = {};
  if (namespaces.network !== 'node' && namespaces.userns === undefined) {
    sysctls['net.ipv4.ip_unprivileged_port_start'] = '0';
    sysctls['net.ipv4.ping_group_range'] = '0 2147483647';
  }
  for (const [given, value] of Object.entries(requested)) {
    const name = dottedName(given);
    const namespace = namespaceOf(name);
    if (namespace === undefined) {
      throw new RuntimeError(
        'InvalidArgument',
        `sysctl ${name} is not a pod's to set: it is of the whole node`,
      );
    }
    if (namespaces[namespace] === 'node') {
      throw new RuntimeError(
        'InvalidArgument',
        `sysctl ${name} cannot be set: the pod shares the node's ${namespace} namespace`,
      );
    }
    sysctls[name] = value;
  }
  return sysctls;
}

/** The file of a parameter below /proc/sys, without a leading slash. `name` is as sandboxSysctls gives it. */
export function sysctlFile(name: string): string {
  return name.replaceAll(/[./]/g, (separator) => (separator === '.' ? '/' : '.'));
}

/** `net/ipv4/conf/eth0.1/forwarding` as `net.ipv4.conf.eth0/1.forwarding` (sysctl.d(5): the first separator decides). */
function dottedName(given: string): string {
  const first = /[./]/.exec(given)?.[0];
  const name =
    first === '/' ? given.replaceAll(/[./]/g, (separator) => (separator === '/' ? '.' : '/')) : given;
  const components = name.split('.');
  const isSound =
    components.length > 1 &&
    components.every((component) => /^[\w/:@%+-]+$/.test(component) && component !== '/');
  // A slash in dotted form stands for a dot in a file name; two of them would climb.
  if (!isSound || name.includes('//')) {
    throw new RuntimeError('InvalidArgument', `${JSON.stringify(given)} is not the name of a sysctl`);
  }
  return name;
}

function namespaceOf(name: string): 'network' | 'ipc' | undefined {
  if (name.startsWith('net.')) return 'network';
  if (name === 'kernel.sem' || ipcPrefixes.some((prefix) => name.startsWith(prefix))) return 'ipc';
  return undefined;
}
