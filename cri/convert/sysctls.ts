import type { NamespaceOptions } from '#runtime/sandbox/config.ts';
import { checkCount, checkText, invalidField } from './field.ts';

const ipcSysctls = /^(kernel\.(shm\w*|msg\w*|sem)|fs\.mqueue\.\w+)$/;
const netSysctls = /^net(\.[\w*-]+)+$/;

/**
 * Sysctls of a pod: only those that belong to one of its namespaces, for the others would change the node. `net/ipv4/x`
 * is the other spelling of `net.ipv4.x`. Throws InvalidArgument, also where the pod uses the node's namespace.
 */
export function toSysctls(
  sysctls: Readonly<Record<string, string>>,
  path: string,
  namespaces: NamespaceOptions,
): Readonly<Record<string, string>> {
  checkCount(Object.keys(sysctls), path, 1000);
  for (const [name, value] of Object.entries(sysctls)) {
    checkText(value, `${path}[${name}]`, 4096);
    // An interface name in a sysctl may hold dots in the spelling with slashes.
    if (name.split('/').some((part) => part === '.' || part === '..')) {
      throw invalidField(path, `has ${JSON.stringify(name)}, which is no sysctl`);
    }
    const dotted = name.includes('/') ? name.replaceAll('.', '_').replaceAll('/', '.') : name;
    const isIpc = ipcSysctls.test(dotted);
    if (!isIpc && !netSysctls.test(dotted)) {
      throw invalidField(path, `has ${JSON.stringify(name)}, which belongs to no namespace of a pod`);
    }
    if ((isIpc ? namespaces.ipc : namespaces.network) === 'node') {
      throw invalidField(
        path,
        `has ${JSON.stringify(name)}, but the pod uses the node's ${isIpc ? 'IPC' : 'network'} namespace`,
      );
    }
  }
  return sysctls;
}
