/** Host ports as data: which are wanted, whether they collide, and what the firewall has to say for them. */
import { RuntimeError } from '#base/errors.ts';
import { contains, type IpFamily, makeCidr, parseAddress } from './cidr.ts';
import type { ResultIp } from './cni/result.ts';
import type { Debt } from './debts.ts';
import type { PortMapping } from './pod-network.ts';

/** One address translation: packets to `hostIp` ('' for any local address) and `hostPort` go to the pod. */
export interface PortTranslation {
  readonly family: IpFamily;
  readonly protocol: PortMapping['protocol'];
  readonly hostIp: string;
  readonly hostPort: number;
  readonly podIp: string;
  readonly containerPort: number;
}

/** All that the firewall has to say for one pod. */
export interface Publication {
  readonly sandboxId: string;
  readonly translations: readonly PortTranslation[];
  /** Sources that reach the pod without passing the host again on the way back: the pod itself and its link's prefix. */
  readonly neighbours: readonly {
    readonly family: IpFamily;
    readonly source: string;
    readonly podIp: string;
  }[];
  /** The host's device towards the pod's IPv4 address; '' if not known. */
  readonly device: string;
}

const wildcards: Readonly<Record<string, readonly IpFamily[]>> = { '': [4, 6], '0.0.0.0': [4], '::': [6] };

/** The mappings that ask for a port of the host. Throws InvalidArgument for ports or addresses out of form. */
export function listPublished(mappings: readonly PortMapping[]): PortMapping[] {
  const published = mappings.filter((mapping) => mapping.hostPort > 0);
  for (const { hostPort, containerPort, hostIp, protocol } of published) {
    const subject = `host port ${hostPort}/${protocol}`;
    if (hostPort > 65535 || containerPort < 1 || containerPort > 65535) {
      throw new RuntimeError(
        'InvalidArgument',
        `${subject} to container port ${containerPort}: not a port number`,
      );
    }
    if (!(hostIp in wildcards) && !parseAddress(hostIp)) {
      throw new RuntimeError(
        'InvalidArgument',
        `${subject}: host address ${JSON.stringify(hostIp)} is no IP address`,
      );
    }
  }
  return published;
}

function sharesAddress(one: string, other: string): boolean {
  const oneAny = wildcards[one];
  const otherAny = wildcards[other];
  if (oneAny && otherAny) return oneAny.some((family) => otherAny.includes(family));
  if (oneAny) return oneAny.includes(parseAddress(other)!.family);
  if (otherAny) return otherAny.includes(parseAddress(one)!.family);
  const left = parseAddress(one)!;
  const right = parseAddress(other)!;
  return left.family === right.family && left.value === right.value;
}

function collide(one: PortMapping, other: PortMapping): boolean {
  return (
    one.protocol === other.protocol &&
    one.hostPort === other.hostPort &&
    sharesAddress(one.hostIp, other.hostIp)
  );
}

/** Throws FailedPrecondition if a wanted port is held by another sandbox, InvalidArgument if the request collides with itself. */
export function refuseCollisions(
  sandboxId: string,
  wanted: readonly PortMapping[],
  debts: readonly Debt[],
): void {
  wanted.forEach((mapping, index) => {
    const subject = `host port ${mapping.hostPort}/${mapping.protocol}`;
    if (wanted.slice(index + 1).some((other) => collide(mapping, other))) {
      throw new RuntimeError('InvalidArgument', `${subject} is asked for twice in one pod`);
    }
    for (const debt of debts) {
      if (debt.sandboxId === sandboxId || !debt.hostPorts.some((other) => collide(mapping, other))) continue;
      throw new RuntimeError(
        'FailedPrecondition',
        `${subject} is held by sandbox ${debt.sandboxId}; remove that pod first`,
        { details: { sandboxId, holder: debt.sandboxId } },
      );
    }
  });
}

/**
 * What to publish for a pod with these addresses. A mapping to every address is published for each family that the pod
 * has; one to an address of a family that the pod lacks is left out.
 */
export function makePublication(
  sandboxId: string,
  published: readonly PortMapping[],
  ips: readonly ResultIp[],
  device: string,
): Publication {
  const translations: PortTranslation[] = [];
  for (const mapping of published) {
    const families = wildcards[mapping.hostIp];
    const wantedFamilies = families ?? [parseAddress(mapping.hostIp)!.family];
    for (const family of wantedFamilies) {
      const ip = ips.find((candidate) => candidate.family === family);
      if (!ip) continue;
      translations.push({
        family,
        protocol: mapping.protocol,
        hostIp: families ? '' : mapping.hostIp,
        hostPort: mapping.hostPort,
        podIp: ip.address,
        containerPort: mapping.containerPort,
      });
    }
  }
  const neighbours = ips.map((ip) => ({ family: ip.family, source: linkPrefix(ip), podIp: ip.address }));
  return { sandboxId, translations, neighbours, device };
}

/** The prefix of the pod's link if its gateway lies in it (a bridge), else the pod's own address (a routed veth). */
function linkPrefix(ip: ResultIp): string {
  const gateway = parseAddress(ip.gateway);
  const address = parseAddress(ip.address)!;
  const link = makeCidr(ip.family, address.value, ip.prefix);
  if (!gateway || !contains(link, gateway)) return ip.address;
  return `${ip.address}/${ip.prefix}`;
}
