/** What the kernel is asked for to connect a pod to a bridge, as data. Pure. */
import { createHash } from 'node:crypto';
import {
  AF_INET,
  AF_INET6,
  addressAttributes,
  addressHeader,
  attribute,
  bridgePortHairpinAttribute,
  byteAttribute,
  IFA_F_NODAD,
  IFF_UP,
  linkAttributes,
  linkHeader,
  linkInfoAttributes,
  messageFlags,
  messageTypes,
  numberAttribute,
  routeAttributes,
  routeHeader,
  textAttribute,
  vethPeerAttribute,
} from '#host/netlink.ts';
import type { NetlinkChange } from '#host/rtnetlink.ts';
import { addressBytes, type Cidr, formatAddress, formatCidr, type IpAddress, lastAddress } from '../cidr.ts';

/** The addresses of one family behind a bridge. */
export interface PodSubnet {
  readonly prefix: Cidr;
  readonly gateway: IpAddress;
  /** The first and the last address that a pod may have; the gateway's is left out. */
  readonly first: bigint;
  readonly last: bigint;
}

export interface PodRoute {
  readonly destination: Cidr;
  /** Undefined: by the gateway of its family. */
  readonly gateway: IpAddress | undefined;
}

/** A bridge and the pods behind it. */
export interface BridgePlan {
  readonly bridge: string;
  /** Whose bridge it is, for errors: `the default network`. */
  readonly network: string;
  /** One per family at most. */
  readonly subnets: readonly PodSubnet[];
  readonly routes: readonly PodRoute[];
  readonly mtuBytes: number;
  /** Whether the bridge has the gateways' addresses. */
  readonly isGateway: boolean;
  /** A pod may reach itself through a service: its own packets come back over the port they came from. */
  readonly hasHairpin: boolean;
  /**
   * What becomes of a bridge that is there with other addresses and another MTU: it is made to agree, if it is Berth's own; or
   * it is as the plugin `bridge` has it: the MTU stays, addresses in the way are replaced or refused, others stay.
   */
  readonly found: 'adopt' | 'replace' | 'refuse';
  /** Where addresses are reserved, and whether others reserve there too. */
  readonly addresses: { readonly dir: string; readonly isShared: boolean };
  /** Of the result. */
  readonly cniVersion: string;
}

/** A pod's connection, known before any of it is made. */
export interface PodLink {
  readonly hostName: string;
  readonly hostMac: string;
  readonly podName: string;
  readonly podMac: string;
  /** In the order of the plan's subnets. */
  readonly addresses: readonly { readonly address: IpAddress; readonly subnet: PodSubnet }[];
}

/**
 * Links that are to go are put into this group when they are taken down: the kernel removes a whole group at once, which
 * takes no longer than removing one link. The number is of no meaning and hardly anybody else's.
 */
export const removalGroup = 0x62727468;
const groupAttribute = 27;

const { newLink, setLink, deleteLink, newAddress, deleteAddress, newRoute } = messageTypes;
const createNew = messageFlags.create | messageFlags.exclusive;

const macBytes = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');
const formatMac = (bytes: Buffer): string => bytes.toString('hex').replace(/..(?=.)/g, '$&:');

/**
 * A hardware address that follows from an IP address: whoever remembers the one for the other is right, also when the
 * address has gone to another pod meanwhile. Locally administered.
 */
export function macOf(address: IpAddress): string {
  return formatMac(Buffer.concat([Buffer.of(0x0a, 0xbe), addressBytes(address).subarray(-4)]));
}

/** The name of the host's end of a sandbox's link, of the 15 bytes that the kernel allows; always the same. */
export function hostLinkName(sandboxId: string): string {
  return `veth${createHash('sha256').update(sandboxId).digest('hex').slice(0, 11)}`;
}

/** Describes the link of a sandbox that was given these addresses. */
export function describePodLink(
  sandboxId: string,
  podName: string,
  addresses: PodLink['addresses'],
): PodLink {
  const hash = createHash('sha256').update(`link of ${sandboxId}`).digest();
  return {
    hostName: hostLinkName(sandboxId),
    hostMac: formatMac(Buffer.concat([Buffer.of(0x0a, 0xbf), hash.subarray(0, 4)])),
    podName,
    podMac: macOf(addresses[0]!.address),
    addresses,
  };
}

const familyOf = ({ family }: IpAddress): number => (family === 4 ? AF_INET : AF_INET6);

function addAddress(index: number, address: IpAddress, prefix: Cidr, device: string): NetlinkChange {
  const bytes = addressBytes(address);
  const attributes = [attribute(addressAttributes.local, bytes), attribute(addressAttributes.address, bytes)];
  if (address.family === 6) attributes.push(numberAttribute(addressAttributes.flags, IFA_F_NODAD));
  else if (prefix.prefix < 31)
    attributes.push(attribute(addressAttributes.broadcast, addressBytes(lastAddress(prefix))));
  return {
    type: newAddress,
    flags: createNew,
    parts: [addressHeader(familyOf(address), prefix.prefix, index), ...attributes],
    what: `adding ${formatAddress(address)}/${prefix.prefix} to ${device}`,
    accepts: ['EEXIST'],
  };
}

/**
 * Makes the bridge; one of that name may be there. A hardware address of its own keeps it from taking those of its ports;
 * where the gateway is another machine's, so is the hardware address that would follow from it.
 */
export function makeBridge({ bridge, subnets, isGateway, mtuBytes }: BridgePlan): NetlinkChange[] {
  const parts = [
    linkHeader(0, IFF_UP),
    textAttribute(linkAttributes.name, bridge),
    numberAttribute(linkAttributes.mtu, mtuBytes),
    ...(isGateway ? [attribute(linkAttributes.address, macBytes(macOf(subnets[0]!.gateway)))] : []),
    attribute(linkAttributes.linkInfo, textAttribute(linkInfoAttributes.kind, 'bridge')),
  ];
  return [
    { type: newLink, flags: createNew, parts, what: `making the bridge ${bridge}`, accepts: ['EEXIST'] },
  ];
}

/** Brings the bridge up with the addresses that it must have; those that are there stay. */
export function prepareBridge({ bridge, subnets, isGateway }: BridgePlan, index: number): NetlinkChange[] {
  const gateways = isGateway ? subnets : [];
  return [
    { type: newLink, parts: [linkHeader(index, IFF_UP)], what: `bringing ${bridge} up` },
    ...gateways.map(({ gateway, prefix }) => addAddress(index, gateway, prefix, bridge)),
  ];
}

/** Gives a bridge that was found its present hardware address for good, and the MTU unless that is to stay. */
export function settleBridge(
  bridge: string,
  index: number,
  mac: string,
  mtuBytes: number | undefined,
): NetlinkChange[] {
  const parts = [
    linkHeader(index),
    attribute(linkAttributes.address, macBytes(mac)),
    ...(mtuBytes === undefined ? [] : [numberAttribute(linkAttributes.mtu, mtuBytes)]),
  ];
  return [{ type: newLink, parts, what: `adopting the bridge ${bridge}` }];
}

export function dropAddress(index: number, address: IpAddress, prefix: number): NetlinkChange {
  const header = addressHeader(familyOf(address), prefix, index);
  const bytes = addressBytes(address);
  return {
    type: deleteAddress,
    parts: [header, attribute(addressAttributes.local, bytes), attribute(addressAttributes.address, bytes)],
    what: `removing ${formatAddress(address)}/${prefix} from the bridge`,
    accepts: ['EADDRNOTAVAIL'],
  };
}

/** On the host: a pair of links, one a port of the bridge and up, the other in the namespace behind `netnsFd`. */
export function makePodLink(
  link: PodLink,
  bridge: { readonly index: number; readonly mtuBytes: number },
  hasHairpin: boolean,
  netnsFd: number,
): NetlinkChange[] {
  const { kind, data, portKind, portData } = linkInfoAttributes;
  const { name, address, mtu, master, linkInfo, netnsFd: netnsAttribute } = linkAttributes;
  const peer = attribute(
    vethPeerAttribute,
    linkHeader(0),
    textAttribute(name, link.podName),
    attribute(address, macBytes(link.podMac)),
    numberAttribute(mtu, bridge.mtuBytes),
    numberAttribute(netnsAttribute, netnsFd),
  );
  const pair = [
    linkHeader(0, IFF_UP),
    textAttribute(name, link.hostName),
    attribute(address, macBytes(link.hostMac)),
    numberAttribute(mtu, bridge.mtuBytes),
    numberAttribute(master, bridge.index),
    attribute(linkInfo, textAttribute(kind, 'veth'), attribute(data, peer)),
  ];
  const hairpin = [
    linkHeader(0),
    textAttribute(name, link.hostName),
    attribute(
      linkInfo,
      textAttribute(portKind, 'bridge'),
      attribute(portData, byteAttribute(bridgePortHairpinAttribute, 1)),
    ),
  ];
  const made: NetlinkChange[] = [
    { type: newLink, flags: createNew, parts: pair, what: `making the link ${link.hostName}` },
  ];
  if (hasHairpin)
    made.push({ type: newLink, parts: hairpin, what: `setting hairpin mode of ${link.hostName}` });
  return made;
}

function addRoute({ destination, gateway }: PodRoute, link: PodLink, index: number): NetlinkChange {
  const { family, prefix } = destination;
  const own = link.addresses.find(({ address }) => address.family === family);
  const via = gateway ?? own!.subnet.gateway;
  const bytes = addressBytes({ family, value: destination.base });
  return {
    type: newRoute,
    flags: createNew,
    parts: [
      routeHeader(familyOf(via), prefix),
      ...(prefix === 0 ? [] : [attribute(routeAttributes.destination, bytes)]),
      attribute(routeAttributes.gateway, addressBytes(via)),
      numberAttribute(routeAttributes.device, index),
    ],
    what: `adding the route to ${formatCidr(destination)} by ${formatAddress(via)}`,
    accepts: ['EEXIST'],
  };
}

/** In the pod: the link up, its addresses, and the routes, each of a family that the pod has. */
export function configurePod(link: PodLink, index: number, routes: readonly PodRoute[]): NetlinkChange[] {
  const { podName, addresses } = link;
  return [
    { type: newLink, parts: [linkHeader(index, IFF_UP)], what: `bringing ${podName} up` },
    ...addresses.map(({ address, subnet }) => addAddress(index, address, subnet.prefix, podName)),
    ...routes.map((route) => addRoute(route, link, index)),
  ];
}

/** Cuts a pod off at once, and marks its link for removal. A link that is gone is fine. */
export function cutLink(hostName: string): NetlinkChange {
  const parts = [
    linkHeader(0, 0, IFF_UP),
    textAttribute(linkAttributes.name, hostName),
    numberAttribute(groupAttribute, removalGroup),
  ];
  return { type: setLink, parts, what: `taking ${hostName} down`, accepts: ['ENODEV'] };
}

/** Removes all links that were cut. */
export function removeCutLinks(): NetlinkChange {
  const parts = [linkHeader(0), numberAttribute(groupAttribute, removalGroup)];
  return { type: deleteLink, parts, what: 'removing the links of detached pods', accepts: ['ENODEV'] };
}

/** Removes one link, and its other end. */
export function removeLink(name: string): NetlinkChange {
  const parts = [linkHeader(0), textAttribute(linkAttributes.name, name)];
  return { type: deleteLink, parts, what: `removing the link ${name}`, accepts: ['ENODEV'] };
}
