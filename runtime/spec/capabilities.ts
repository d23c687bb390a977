/**
 * Capability sets of a process (CRI Capability; capabilities(7)). Nothing outside the daemon's own bounding set is ever
 * asked for: an OCI runtime that lacks a capability cannot grant it and would refuse to create the container.
 */
import { RuntimeError } from '#base/errors.ts';
import type { Capabilities } from '../container/config.ts';
import type { OciCapabilities } from './oci-spec.ts';

/** All capabilities by their number (linux/capability.h). */
export const knownCapabilities: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_MKNOD',
  'CAP_LEASE',
  'CAP_AUDIT_WRITE',
  'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP',
  'CAP_MAC_OVERRIDE',
  'CAP_MAC_ADMIN',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
  'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ',
  'CAP_PERFMON',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
];

/** What a container has when nothing is asked. */
export const defaultCapabilities: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SYS_CHROOT',
  'CAP_MKNOD',
  'CAP_AUDIT_WRITE',
  'CAP_SETFCAP',
];

/** No capability in any set. */
export const noCapabilities: OciCapabilities = {
  bounding: [],
  effective: [],
  inheritable: [],
  permitted: [],
  ambient: [],
};

/**
 * The sets for a request: ALL first (added, then dropped), then single additions, then single drops; a dropped one leaves
 * every set. Inheritable is empty but for what ambient needs. Privileged means all that the daemon may grant. Names may lack `CAP_` and
 * be in any case. Throws InvalidArgument for an unknown name to add; an unknown name to drop is none to have.
 */
export function resolveCapabilities(
  request: Capabilities,
  isPrivileged: boolean,
  grantable: readonly string[],
): OciCapabilities {
  const add = names(request.add);
  const drop = names(request.drop);
  const ambient = names(request.addAmbient);
  for (const name of [...add, ...ambient]) refuseUnknown(name);

  const wanted = new Set(isPrivileged || add.has('ALL') ? knownCapabilities : defaultCapabilities);
  if (!isPrivileged && drop.has('ALL')) wanted.clear();
  for (const name of [...add, ...expand(ambient)]) wanted.add(name);
  if (!isPrivileged) for (const name of drop) wanted.delete(name);

  const granted = knownCapabilities.filter((name) => wanted.has(name) && grantable.includes(name));
  const raised = granted.filter((name) => ambient.has(name) || ambient.has('ALL'));
  return {
    bounding: granted,
    effective: [...granted],
    // The kernel lets only inheritable and permitted capabilities be ambient (capabilities(7)).
    inheritable: raised,
    permitted: [...granted],
    ambient: [...raised],
  };
}

/** Capabilities added by name that the daemon cannot grant, for a warning; resolveCapabilities leaves them out. */
export function ungrantableCapabilities(request: Capabilities, grantable: readonly string[]): string[] {
  const asked = new Set([...names(request.add), ...names(request.addAmbient)]);
  return knownCapabilities.filter((name) => asked.has(name) && !grantable.includes(name));
}

function names(requested: readonly string[]): Set<string> {
  return new Set(
    requested.map((name) => {
      const upper = name.toUpperCase();
      return upper === 'ALL' || upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
    }),
  );
}

function expand(requested: ReadonlySet<string>): readonly string[] {
  return requested.has('ALL') ? knownCapabilities : [...requested];
}

function refuseUnknown(name: string): void {
  if (name === 'ALL' || knownCapabilities.includes(name)) return;
  throw new RuntimeError('InvalidArgument', `capability ${name} to add is unknown`);
}
