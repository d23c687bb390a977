import { type InterfaceCounters, readInterfacesOf, readVethPeer } from '#host/net-stats.ts';
import type { ContainerRecord } from '../container/record.ts';
import type { SandboxRecord } from '../sandbox/record.ts';

interface CniInterface {
  readonly name: string;
  /** Path of the namespace it is in; '' on the host. */
  readonly sandbox: string;
}

/**
 * Counters of the pod's interfaces but lo, without entering its namespace: as one of its processes sees them, or, in a pod
 * without a process, from the host's ends of its veth pairs. undefined for the host's network and where neither works.
 */
export function podInterfaces(
  sandbox: SandboxRecord,
  containers: readonly ContainerRecord[],
): InterfaceCounters[] | undefined {
  if (sandbox.netnsPath === '') return undefined;
  const candidates = [
    sandbox.init?.pid,
    ...containers.map((container) => (container.state === 'exited' ? undefined : container.process?.pid)),
  ];
  for (const pid of candidates) {
    const interfaces = pid === undefined ? undefined : readInterfacesOf(pid, sandbox.netnsPath);
    if (interfaces) return interfaces.filter((each) => each.name !== 'lo');
  }
  return vethPeers(sandbox.cniResult);
}

/** The pod's ends, taken from the host's ends that the CNI result names. */
function vethPeers(cniResult: unknown): InterfaceCounters[] | undefined {
  const interfaces = interfacesOf(cniResult);
  const inside = interfaces.filter((each) => each.sandbox !== '');
  const peers = interfaces
    .filter((each) => each.sandbox === '')
    .flatMap((each) => readVethPeer(each.name, '') ?? []);
  // The result does not say which end belongs to which: with unequal numbers any pairing would be a guess.
  if (inside.length === 0 || inside.length !== peers.length) return undefined;
  return inside.map((each, index) => ({ ...peers[index]!, name: each.name }));
}

/** `interfaces` of a CNI result (CNI SPEC, section Result Types); empty for anything else. */
function interfacesOf(cniResult: unknown): CniInterface[] {
  const list = (cniResult as { interfaces?: unknown } | null | undefined)?.interfaces;
  if (!Array.isArray(list)) return [];
  return list.flatMap((entry: unknown) => {
    const { name, sandbox } = (entry ?? {}) as { name?: unknown; sandbox?: unknown };
    return typeof name === 'string' ? [{ name, sandbox: typeof sandbox === 'string' ? sandbox : '' }] : [];
  });
}
