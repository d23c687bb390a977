/**
 * Berth's own network, for a host where no CNI configuration exists: a bridge, IPv4 and (unless the host has it off) IPv6.
 * Its prefixes are chosen once, clear of the host's routes, and kept in a plan file; that file also tells that the bridge
 * and its masquerade rule may be there. Pods are connected by native/bridge-network.ts, without any program.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { type Cidr, formatCidr, type IpFamily, lastAddress, makeCidr, overlaps, parseCidr } from './cidr.ts';
import { type NetworkList, parseNetworkList } from './cni/config.ts';
import { enableForwarding, readSysctl } from './forwarding.ts';
import { type HostRoute, listHostRoutes } from './host-routes.ts';
import type { BridgeNetwork } from './native/bridge-network.ts';
import type { BridgePlan, PodSubnet } from './native/changes.ts';
import { readRecord, removeRecord, writeDurableRecord } from './record-file.ts';

export interface DefaultNetworkOptions {
  /** Name of the CNI network. */
  readonly name: string;
  /** Name of the bridge device. */
  readonly bridge: string;
  /** Prefix of the pods; `auto` lets Berth choose one that no route of the host touches; '' is none. */
  readonly ipv4Subnet: string;
  /** The same for IPv6; `auto` is a unique local prefix (RFC 4193) that follows from the machine's identity. */
  readonly ipv6Subnet: string;
}

export const defaultNetworkOptions: DefaultNetworkOptions = {
  name: 'berth',
  bridge: 'berth0',
  ipv4Subnet: 'auto',
  ipv6Subnet: 'auto',
};

/** What was decided; '' stands for a family that is not used. */
interface Plan {
  readonly bridge: string;
  readonly ipv4: string;
  readonly ipv6: string;
}

const cniVersion = '1.0.0';

/** The bridge has the first address of a prefix, pods those after it; the last one is that of broadcast. */
function subnetOf(prefix: Cidr): PodSubnet {
  const gateway = { family: prefix.family, value: prefix.base + 1n };
  return { prefix, gateway, first: gateway.value + 1n, last: lastAddress(prefix).value - 1n };
}

const everywhere = ({ family }: Cidr): Cidr => makeCidr(family, 0n, 0);
const ethernetMtu = 1500;

/** What pods are attached with. */
export interface PreparedNetwork {
  readonly plan: BridgePlan;
  /** The same for the CNI plugins `bridge` and `host-local`: what a record shows, and what an older Berth can detach with. */
  readonly list: NetworkList;
}

/** The prefixes that are tried for IPv4, in order: 10.88-10.127, then 172.20-172.31, /16 each. */
function* ipv4Candidates(): Generator<Cidr> {
  for (let second = 88; second < 128; second += 1) yield makeCidr(4, BigInt((10 << 24) | (second << 16)), 16);
  for (let second = 20; second < 32; second += 1) yield makeCidr(4, (172n << 24n) | BigInt(second << 16), 16);
}

/** Unique local /64 prefixes that follow from `seed`: the same on every start of the same machine, others elsewhere. */
function* ipv6Candidates(seed: string): Generator<Cidr> {
  for (let subnet = 0; subnet < 64; subnet += 1) {
    const hash = createHash('sha256').update(`${seed} ${subnet}`).digest();
    const globalId = BigInt(`0x${hash.subarray(0, 7).toString('hex')}`);
    yield makeCidr(6, (0xfdn << 120n) | (globalId << 64n), 64);
  }
}

/**
 * The first candidate that shares no address with the routes of the host; default routes and those of `ownDevice` do not
 * count. Throws ResourceExhausted if none is free.
 */
export function pickSubnet(
  family: IpFamily,
  seed: string,
  routes: readonly HostRoute[],
  ownDevice: string,
): Cidr {
  const taken = routes.filter((route) => route.device !== ownDevice && route.destination.prefix > 0);
  for (const candidate of family === 4 ? ipv4Candidates() : ipv6Candidates(seed)) {
    if (!taken.some((route) => overlaps(route.destination, candidate))) return candidate;
  }
  throw new RuntimeError(
    'ResourceExhausted',
    `choosing an IPv${family} prefix for the default network: every candidate overlaps a route of the host; configure one`,
  );
}

function machineSeed(): string {
  try {
    return readFileSync('/etc/machine-id', 'utf8').trim() || hostname();
  } catch {
    return hostname(); // a machine without an identity: its name has to do
  }
}

/** Addresses of the host count as routes: a prefix may be there before its route is. */
function takenOnHost(): HostRoute[] {
  const addresses = Object.entries(networkInterfaces()).flatMap(([device, entries]) =>
    (entries ?? []).flatMap(({ cidr }) => {
      const destination = cidr === null ? undefined : parseCidr(cidr);
      return destination ? [{ destination, device, isAdvertised: false }] : [];
    }),
  );
  return [...listHostRoutes(), ...addresses];
}

function hasIpv6(): boolean {
  return (
    readSysctl('net/ipv6/conf/all/disable_ipv6') === '0' &&
    readSysctl('net/ipv6/conf/default/disable_ipv6') === '0'
  );
}

/** MTU of the device of the default route if it is below Ethernet's: pods must not send more than it carries. */
function narrowMtu(routes: readonly HostRoute[]): number | undefined {
  const device = routes.find(({ destination }) => destination.prefix === 0)?.device;
  const mtu = device && Number(readRecord(`/sys/class/net/${device}/mtu`));
  return mtu && mtu < ethernetMtu ? mtu : undefined;
}

export class DefaultNetwork {
  readonly options: DefaultNetworkOptions;
  readonly #stateDir: string;
  readonly #bridges: BridgeNetwork;
  readonly #log: Log;
  #podCidrs: readonly Cidr[] = [];
  #plan: Plan | undefined;

  /** `stateDir` keeps the plan. Throws Node's error if the plan cannot be read. */
  constructor(options: DefaultNetworkOptions, stateDir: string, bridges: BridgeNetwork, log: Log) {
    this.options = options;
    this.#stateDir = stateDir;
    this.#bridges = bridges;
    this.#log = log;
    this.#plan = this.#readPlan();
  }

  /** Where its addresses are reserved. */
  get addresses(): BridgePlan['addresses'] {
    return { dir: `${this.#stateDir}/ipam/${this.options.name}`, isShared: false };
  }

  get #planPath(): string {
    return `${this.#stateDir}/default-network.json`;
  }

  #readPlan(): Plan | undefined {
    const text = readRecord(this.#planPath);
    if (text === undefined) return undefined;
    try {
      const { bridge, ipv4, ipv6 } = JSON.parse(text);
      if (typeof bridge === 'string' && [ipv4, ipv6].every((text) => text === '' || parseCidr(text))) {
        return { bridge, ipv4, ipv6 };
      }
    } catch {
      // Cut off by a power loss: chosen anew below, and by the same rules most likely the same.
    }
    this.#log.warn({ path: this.#planPath }, 'the plan of the default network is damaged; a new one is made');
    return undefined;
  }

  /** Whether the network was set up and not yet taken down. */
  get isPlanned(): boolean {
    return this.#plan !== undefined;
  }

  /** The prefixes whose traffic to elsewhere is masqueraded; none while nothing is planned. */
  get prefixes(): Cidr[] {
    return [this.#plan?.ipv4, this.#plan?.ipv6].flatMap((text) => parseCidr(text ?? '') ?? []);
  }

  /** The prefixes that Kubernetes gave this node, one per family at most; they replace chosen ones at the next `ensure`. */
  setPodCidrs(cidrs: readonly Cidr[]): void {
    this.#podCidrs = cidrs;
  }

  #wantedPrefix(family: IpFamily, taken: readonly HostRoute[]): string {
    const assigned = this.#podCidrs.find((cidr) => cidr.family === family);
    if (assigned) return formatCidr(assigned);
    const configured = family === 4 ? this.options.ipv4Subnet : this.options.ipv6Subnet;
    if (configured === '') return '';
    if (configured !== 'auto') {
      const parsed = parseCidr(configured);
      if (parsed?.family === family) return formatCidr(parsed);
      throw new RuntimeError(
        'InvalidArgument',
        `default network: ${JSON.stringify(configured)} is not an IPv${family} prefix`,
      );
    }
    const kept = parseCidr((family === 4 ? this.#plan?.ipv4 : this.#plan?.ipv6) ?? '');
    const { bridge } = this.options;
    const isFree =
      kept &&
      !taken.some(
        ({ destination, device }) =>
          device !== bridge && destination.prefix > 0 && overlaps(destination, kept),
      );
    return formatCidr(isFree ? kept : pickSubnet(family, machineSeed(), taken, bridge));
  }

  /**
   * Makes the host ready for pods and says how to attach them. Prefixes change (to those of the
   * configuration, of Kubernetes, or away from a new route of the host) only while `isUsed` is false. Idempotent.
   * Throws InvalidArgument, ResourceExhausted (see pickSubnet), or Node's error.
   */
  async ensure(isUsed: boolean): Promise<PreparedNetwork> {
    const taken = takenOnHost();
    if (!this.#plan || !isUsed) {
      const wanted: Plan = {
        bridge: this.options.bridge,
        ipv4: this.#wantedPrefix(4, taken),
        ipv6: hasIpv6() ? this.#wantedPrefix(6, taken) : '',
      };
      if (wanted.ipv4 === '' && wanted.ipv6 === '') {
        throw new RuntimeError(
          'InvalidArgument',
          'default network: neither IPv4 nor IPv6 has a prefix; configure one',
        );
      }
      const before = this.#plan;
      if (JSON.stringify(before) !== JSON.stringify(wanted)) {
        if (before) await this.#bridges.removeBridge(before.bridge);
        mkdirSync(this.#stateDir, { recursive: true, mode: 0o700 });
        await writeDurableRecord(this.#planPath, JSON.stringify(wanted), 0o600);
        this.#log.info({ ...wanted }, 'default network planned');
        this.#plan = wanted;
      }
    }
    const { prefixes } = this;
    enableForwarding(prefixes.map(({ family }) => family));
    const mtu = narrowMtu(taken);
    const plan: BridgePlan = {
      bridge: this.#plan!.bridge,
      network: 'the default network',
      subnets: prefixes.map(subnetOf),
      routes: prefixes.map((prefix) => ({ destination: everywhere(prefix), gateway: undefined })),
      mtuBytes: mtu ?? ethernetMtu,
      isGateway: true,
      hasHairpin: true,
      found: 'adopt',
      addresses: this.addresses,
      cniVersion,
    };
    return { plan, list: this.#makeList(this.#plan!, mtu) };
  }

  #makeList(plan: Plan, mtu: number | undefined): NetworkList {
    const subnets = [plan.ipv4, plan.ipv6].filter((subnet) => subnet !== '');
    const text = JSON.stringify({
      cniVersion,
      name: this.options.name,
      plugins: [
        {
          type: 'bridge',
          bridge: plan.bridge,
          isGateway: true,
          // A bridge left by another plan takes the new address instead of failing.
          forceAddress: true,
          ipMasq: false,
          hairpinMode: true,
          ...(mtu !== undefined && { mtu }),
          ipam: {
            type: 'host-local',
            dataDir: `${this.#stateDir}/ipam`,
            ranges: subnets.map((subnet) => [{ subnet }]),
            routes: subnets.map((subnet) => ({ dst: subnet.includes(':') ? '::/0' : '0.0.0.0/0' })),
          },
        },
      ],
    });
    return parseNetworkList(text, 'of the default network');
  }

  /**
   * Takes the network down: its bridge, its rules by `dropRules`, and the plan last, which alone tells the next start that the
   * others may be there. Only for a network without pods. Idempotent. False if the bridge stays, which is logged; throws what
   * `dropRules` throws. What is left is tried at the next call.
   */
  async retire(dropRules: () => Promise<void>): Promise<boolean> {
    if (!this.#plan) return true;
    if (!(await this.#bridges.removeBridge(this.#plan.bridge))) return false;
    await dropRules();
    removeRecord(this.#planPath);
    this.#plan = undefined;
    return true;
  }
}
