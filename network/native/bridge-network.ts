/**
 * Pods on a bridge, without any program: links, addresses and routes by rtnetlink, addresses from an AddressBook.
 *
 * A detached pod is cut off at once. Its link goes with the namespace, which whoever detaches removes next, many of them in
 * one sweep of the kernel; asking the kernel to remove a single one takes it 20 ms and more. What is still there a moment
 * later, because something keeps the namespace alive, is removed then: also after a kill of the daemon, by its next start.
 */
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { errnoOf, messageOf, RuntimeError } from '#base/errors.ts';
import { KeyedLock } from '#base/keyed-lock.ts';
import type { Log } from '#base/log.ts';
import {
  AF_UNSPEC,
  type LinkEntry,
  linkAttributes,
  linkHeader,
  messageTypes,
  parseAddressEntry,
  parseLink,
  textAttribute,
} from '#host/netlink.ts';
import { findLinkIndex, insideNetns } from '#host/netns-socket.ts';
import { type NetlinkChange, RouteSocket } from '#host/rtnetlink.ts';
import {
  addressOf,
  formatAddress,
  formatCidr,
  type IpAddress,
  makeCidr,
  overlaps,
  parseAddress,
} from '../cidr.ts';
import { isAtLeast } from '../cni/version.ts';
import { readRecord } from '../record-file.ts';
import { AddressBook } from './addresses.ts';
import {
  type BridgePlan,
  configurePod,
  cutLink,
  describePodLink,
  dropAddress,
  makeBridge,
  makePodLink,
  type PodLink,
  type PodSubnet,
  prepareBridge,
  removeCutLinks,
  removeLink,
  settleBridge,
} from './changes.ts';

interface Bridge {
  readonly index: number;
  readonly mac: string;
  /** Of the links on it. */
  readonly mtuBytes: number;
  /** What it was set up by: another plan has it looked at again. */
  readonly plan: BridgePlan;
}

/** A pod's connection with its addresses reserved; `connect` makes the rest. */
export interface Connection {
  readonly plan: BridgePlan;
  readonly bridge: Bridge;
  readonly link: PodLink;
  readonly netnsPath: string;
  /** CNI SPEC, section 5, of the plan's version. */
  readonly result: unknown;
}

const removalDelayMs = 1000;
const permanentMac = '3';
const linkScope = 253;

export class BridgeNetwork {
  readonly #log: Log;
  /** By folder. */
  readonly #books = new Map<string, AddressBook>();
  readonly #lock = new KeyedLock();
  /** Bridges that were set up by this process, by name. */
  readonly #bridges = new Map<string, Bridge>();
  #host: RouteSocket | undefined;
  #removals: RouteSocket | undefined;
  #removal: NodeJS.Timeout | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** The addresses of a folder, always by the same object. Shared folders are those of CNI networks. */
  bookOf(addresses: BridgePlan['addresses']): AddressBook {
    const { dir, isShared } = addresses;
    const known = this.#books.get(dir);
    if (known) return known;
    const book = new AddressBook(dir, this.#log, isShared);
    this.#books.set(dir, book);
    return book;
  }

  /**
   * Reserves a pod's addresses and says what its connection will be. The caller records that, or calls `disconnect`.
   * Throws ResourceExhausted (no address left), FailedPrecondition (the bridge's name is another link's), Internal.
   */
  async prepare(sandboxId: string, netnsPath: string, ifName: string, plan: BridgePlan): Promise<Connection> {
    const bridge = await this.#ensureBridge(plan);
    const owner = { sandboxId, ifName, network: plan.network };
    const reserved = await this.bookOf(plan.addresses).reserve(plan.subnets, owner);
    const addresses = plan.subnets.map((subnet, index) => ({
      address: parseAddress(reserved[index]!)!,
      subnet,
    }));
    const link = describePodLink(sandboxId, ifName, addresses);
    return { plan, bridge, link, netnsPath, result: makeResult(plan, bridge, link, netnsPath) };
  }

  /** Connects the pod. Throws Internal; then `disconnect` takes back what was made. */
  async connect({ plan, bridge, link, netnsPath }: Connection): Promise<void> {
    try {
      await this.#makeLink(plan, bridge, link, netnsPath);
      const needsIpv6 = link.addresses.some(({ address }) => address.family === 6);
      const pod = insideNetns(netnsPath, () => {
        const index = findLinkIndex(link.podName);
        if (needsIpv6) allowIpv6(link.podName);
        if (plan.found !== 'adopt') setAsPlugins(link.podName);
        return { index, socket: RouteSocket.open() };
      });
      try {
        await pod.socket.change(configurePod(link, pod.index, plan.routes));
      } finally {
        pod.socket.close();
      }
    } catch (cause) {
      throw new RuntimeError('Internal', `connecting ${netnsPath} to ${plan.bridge}: ${messageOf(cause)}`, {
        cause,
      });
    }
  }

  async #makeLink(plan: BridgePlan, bridge: Bridge, link: PodLink, netnsPath: string): Promise<void> {
    const netnsFd = openSync(netnsPath, 'r');
    const make = () =>
      this.#change([
        ...prepareBridge(plan, bridge.index),
        ...makePodLink(link, bridge, plan.hasHairpin, netnsFd),
      ]);
    try {
      await make();
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      // Of an earlier attempt for this very sandbox: cut, and waiting to be removed.
      await this.#remove(removeLink(link.hostName));
      await make();
    } finally {
      closeSync(netnsFd);
    }
  }

  /**
   * Cuts the pod off by its host links and gives back what it has in these folders. Idempotent. Throws Internal, Unavailable
   * (see SharedLock), Node's error.
   */
  async disconnect(
    sandboxId: string,
    hostLinks: readonly string[],
    addresses: readonly BridgePlan['addresses'][],
  ): Promise<void> {
    const present = hostLinks.filter((name) => findHostLink(name) !== 0);
    if (present.length > 0) {
      try {
        await this.#change(present.map(cutLink));
      } catch (cause) {
        throw new RuntimeError('Internal', `detaching sandbox ${sandboxId}: ${messageOf(cause)}`, { cause });
      }
      this.#removal ??= setTimeout(() => this.removeCut(), removalDelayMs).unref();
    }
    for (const folder of addresses) await this.bookOf(folder).release(sandboxId);
  }

  /** Removes the links of detached pods that are still there, in the background. Never throws. */
  removeCut(): void {
    clearTimeout(this.#removal);
    this.#removal = undefined;
    this.#remove(removeCutLinks()).catch((error: unknown) =>
      this.#log.warn({ err: error }, `links of detached pods stay: ${messageOf(error)}`),
    );
  }

  /** Throws Internal if a pod's link or addresses are not as `connect` left them. */
  check(sandboxId: string, hostLink: string, netnsPath: string, addresses: readonly string[]): void {
    const fail = (problem: string, cause?: unknown) =>
      new RuntimeError('Internal', `the network of sandbox ${sandboxId} is not in order: ${problem}`, {
        cause,
      });
    if (findHostLink(hostLink) === 0) throw fail(`its link ${hostLink} is gone`);
    try {
      const socket = RouteSocket.open(netnsPath);
      try {
        const present = new Set(listAddresses(socket).map(({ address }) => formatAddress(address)));
        const lost = addresses.filter((address) => !present.has(address));
        if (lost.length > 0) throw fail(`the pod has lost ${lost.join(', ')}`);
      } finally {
        socket.close();
      }
    } catch (cause) {
      throw cause instanceof RuntimeError ? cause : fail(messageOf(cause), cause);
    }
  }

  /** Removes a bridge without pods; false, which is logged, if it stays. Idempotent. */
  async removeBridge(bridge: string): Promise<boolean> {
    this.#bridges.delete(bridge);
    if (findHostLink(bridge) === 0) return true;
    try {
      await this.#remove(removeLink(bridge));
      return true;
    } catch (error) {
      this.#log.warn({ bridge, err: error }, `the unused bridge stays: ${messageOf(error)}`);
      return false;
    }
  }

  /** Ends what it has put off: links that are cut are removed by the next start. Its sockets are the process's. */
  stop(): void {
    clearTimeout(this.#removal);
    this.#removal = undefined;
  }

  #ensureBridge(plan: BridgePlan): Promise<Bridge> {
    return this.#lock.run('bridge', async () => {
      const known = this.#bridges.get(plan.bridge);
      if (known?.plan === plan && findHostLink(plan.bridge) === known.index) return known;
      try {
        const made = await this.#adoptBridge(plan);
        this.#bridges.set(plan.bridge, made);
        return made;
      } catch (cause) {
        if (cause instanceof RuntimeError) throw cause;
        throw new RuntimeError('Internal', `setting up the bridge ${plan.bridge}: ${messageOf(cause)}`, {
          cause,
        });
      }
    });
  }

  /** Makes the bridge, or takes over one that is there: of an earlier run, of the bridge plugin, of another plan. */
  async #adoptBridge(plan: BridgePlan): Promise<Bridge> {
    const { bridge } = plan;
    await this.#change(makeBridge(plan));
    const socket = this.#hostSocket();
    const found = readLink(socket, bridge);
    if (found.kind !== 'bridge') {
      throw new RuntimeError(
        'FailedPrecondition',
        `${plan.network} needs the name ${bridge} for its bridge, but a link of another kind has it; remove that`,
      );
    }
    const isAdopted = plan.found === 'adopt';
    const mtuBytes = isAdopted ? Math.min(found.mtu, plan.mtuBytes) : plan.mtuBytes;
    const hasOwnMac = readRecord(`/sys/class/net/${bridge}/addr_assign_type`)?.trim() === permanentMac;
    const isSettled = (hasOwnMac || !plan.isGateway) && (mtuBytes === found.mtu || !isAdopted);
    const present = listAddresses(socket).filter(
      ({ index, scope }) => index === found.index && scope !== linkScope,
    );
    const foreign = isAdopted ? findForeign(plan, present) : findInTheWay(plan, present);
    if (foreign[0] && plan.found === 'refuse') {
      const { address, prefix } = foreign[0];
      throw new RuntimeError(
        'FailedPrecondition',
        `${plan.network} needs its gateway's address on ${bridge}, which has ${formatAddress(address)}/${prefix}; remove that, or set forceAddress`,
      );
    }
    // Prefixes and routes of this link are ours to decide: no router advertisement of a pod changes them.
    const acceptsPath = `/proc/sys/net/ipv6/conf/${bridge}/accept_ra`;
    if (readRecord(acceptsPath) !== undefined) writeFileSync(acceptsPath, '0');
    if (plan.isGateway && plan.subnets.some(({ prefix }) => prefix.family === 6)) allowIpv6(bridge);
    await this.#change([
      ...(isSettled ? [] : settleBridge(bridge, found.index, found.mac, isAdopted ? mtuBytes : undefined)),
      ...foreign.map(({ index, address, prefix }) => dropAddress(index, address, prefix)),
      ...prepareBridge(plan, found.index),
    ]);
    return { index: found.index, mac: found.mac, mtuBytes, plan };
  }

  #hostSocket(): RouteSocket {
    this.#host ??= RouteSocket.open();
    return this.#host;
  }

  #change(changes: readonly NetlinkChange[]): Promise<void> {
    return this.#hostSocket().change(changes);
  }

  async #remove(change: NetlinkChange): Promise<void> {
    this.#removals ??= RouteSocket.open('', 'removals');
    await this.#removals.change([change]);
  }
}

/** Not by findLinkIndex, which has the kernel look for a module when there is no such link. 0 if there is none. */
function findHostLink(name: string): number {
  try {
    return Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'latin1'));
  } catch (error) {
    // EINVAL is said of a link that the kernel is taking down: it has no name any more.
    if (['ENOENT', 'EINVAL', 'ENODEV'].includes(errnoOf(error) ?? '')) return 0;
    throw error;
  }
}

/** IPv6 may be off for new links (a sysctl of the pod); a pod that is given an address is meant to have it. */
function allowIpv6(device: string): void {
  const path = `/proc/sys/net/ipv6/conf/${device}/disable_ipv6`;
  if (readRecord(path)?.trim() === '1') writeFileSync(path, '0');
}

/** What the plugin `bridge` sets for a pod's link: it tells of its address, and asks nobody whether that is taken. */
function setAsPlugins(device: string): void {
  writeFileSync(`/proc/sys/net/ipv4/conf/${device}/arp_notify`, '1');
  const path = `/proc/sys/net/ipv6/conf/${device}/accept_dad`;
  if (readRecord(path) !== undefined) writeFileSync(path, '0');
}

const textOf = ({ gateway, prefix }: PodSubnet): string => `${formatAddress(gateway)}/${prefix.prefix}`;

/** The addresses of a bridge of our own that the plan does not give it. */
function findForeign({ subnets }: BridgePlan, present: readonly LinkAddress[]): LinkAddress[] {
  const wanted = new Set(subnets.map(textOf));
  return present.filter(({ address, prefix }) => !wanted.has(`${formatAddress(address)}/${prefix}`));
}

/** The addresses that a gateway's cannot stand beside: any other of IPv4, of IPv6 those whose prefixes overlap. */
function findInTheWay({ subnets, isGateway }: BridgePlan, present: readonly LinkAddress[]): LinkAddress[] {
  if (!isGateway) return [];
  return subnets.flatMap((subnet) => {
    const { family } = subnet.prefix;
    const own = present.filter(({ address }) => address.family === family);
    if (own.some(({ address, prefix }) => `${formatAddress(address)}/${prefix}` === textOf(subnet)))
      return [];
    return own.filter(
      ({ address, prefix }) =>
        family === 4 || overlaps(makeCidr(family, address.value, prefix), subnet.prefix),
    );
  });
}

function readLink(socket: RouteSocket, name: string): LinkEntry {
  const parts = [linkHeader(0), textAttribute(linkAttributes.name, name)];
  return parseLink(socket.get(messageTypes.getLink, parts, `reading the link ${name}`).body);
}

interface LinkAddress {
  readonly index: number;
  readonly scope: number;
  readonly address: IpAddress;
  readonly prefix: number;
}

function listAddresses(socket: RouteSocket): LinkAddress[] {
  const parts = [Buffer.of(AF_UNSPEC, 0, 0, 0, 0, 0, 0, 0)];
  return socket.list(messageTypes.getAddress, parts, 'listing addresses').flatMap(({ body }) => {
    const { index, scope, address, prefix } = parseAddressEntry(body);
    const parsed = addressOf(address);
    return parsed ? [{ index, scope, address: parsed, prefix }] : [];
  });
}

/** As the plugin `bridge` tells it: since 1.0.0 of the specification addresses do not name their family. */
function makeResult(plan: BridgePlan, bridge: Bridge, link: PodLink, netnsPath: string): unknown {
  const namesFamily = !isAtLeast(plan.cniVersion, '1.0.0');
  return {
    cniVersion: plan.cniVersion,
    interfaces: [
      { name: plan.bridge, mac: bridge.mac },
      { name: link.hostName, mac: link.hostMac },
      { name: link.podName, mac: link.podMac, sandbox: netnsPath },
    ],
    ips: link.addresses.map(({ address, subnet }) => ({
      ...(namesFamily && { version: String(address.family) }),
      address: `${formatAddress(address)}/${subnet.prefix.prefix}`,
      gateway: formatAddress(subnet.gateway),
      interface: 2,
    })),
    ...(plan.routes.length > 0 && {
      routes: plan.routes.map(({ destination, gateway }) => ({
        dst: formatCidr(destination),
        ...(gateway && { gw: formatAddress(gateway) }),
      })),
    }),
    dns: {},
  };
}
