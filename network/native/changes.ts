/** What the kernel is asked for to connect a pod to the bridge of the default network, as data. Pure. */
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
import { addressBytes, type Cidr, formatAddress, type IpAddress, lastAddress } from '../cidr.ts';

/** A bridge and the prefixes of the pods behind it. */
export interface BridgePlan {
  readonly bridge: string;
  /** One per family at most; the bridge has the first address of each. */
  readonly prefixes: readonly Cidr[];
  readonly mtuBytes: number;
}

/** A pod's connection, known before any of it is made. */
export interface PodLink {
  readonly hostName: string;
  readonly hostMac: string;
  readonly podName: string;
  readonly podMac: string;
  /** In the order of the plan's prefixes. */
  readonly addresses: readonly { readonly address: IpAddress; readonly prefix: Cidr }[];
}

/**
 * Links that are to go are put into this group when they are taken down: the kernel removes a whole group at once, which
 * takes no longer than removing one link. The number is of no meaning and hardly anybody else's.
 */
export const removalGroup = 0x62727468;
const groupAttribute = 27;

const { newLink, setLink, deleteLink, newAddress, deleteAddress, newRoute } = messageTypes;
const createNew = messageFlags.create | messageFlags.exclusive;

export const gatewayOf = (prefix: Cidr): IpAddress => ({ family: prefix.family, value: prefix.base + 1n });

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

/** Makes the bridge; one of that name may be there. A hardware address of its own keeps it from taking those of its ports. */
export function makeBridge({ bridge, prefixes, mtuBytes }: BridgePlan): NetlinkChange[] {
  const parts = [
    linkHeader(0, IFF_UP),
    textAttribute(linkAttributes.name, bridge),
    numberAttribute(linkAttributes.mtu, mtuBytes),
    attribute(linkAttributes.address, macBytes(macOf(gatewayOf(prefixes[0]!)))),
    attribute(linkAttributes.linkInfo, textAttribute(linkInfoAttributes.kind, 'bridge')),
  ];
  return [
    { type: newLink, flags: createNew, parts, what: `making the bridge ${bridge}`, accepts: ['EEXIST'] },
  ];
}

/** Brings the bridge up with the addresses that it must have; those that are there stay. */
export function prepareBridge({ bridge, prefixes }: BridgePlan, index: number): NetlinkChange[] {
  return [
    { type: newLink, parts: [linkHeader(index, IFF_UP)], what: `bringing ${bridge} up` },
    ...prefixes.map((prefix) => addAddress(index, gatewayOf(prefix), prefix, bridge)),
  ];
}

/** Gives a bridge that was found its present hardware address for good, and the MTU. */
export function settleBridge(bridge: string, index: number, mac: string, mtuBytes: number): NetlinkChange[] {
  const parts = [
    linkHeader(index),
    attribute(linkAttributes.address, macBytes(mac)),
    numberAttribute(linkAttributes.mtu, mtuBytes),
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
  bridgeIndex: number,
  mtuBytes: number,
  netnsFd: number,
): NetlinkChange[] {
  const { kind, data, portKind, portData } = linkInfoAttributes;
  const { name, address, mtu, master, linkInfo, netnsFd: netnsAttribute } = linkAttributes;
  const peer = attribute(
    vethPeerAttribute,
    linkHeader(0),
    textAttribute(name, link.podName),
    attribute(address, macBytes(link.podMac)),
    numberAttribute(mtu, mtuBytes),
    numberAttribute(netnsAttribute, netnsFd),
  );
  const pair = [
    linkHeader(0, IFF_UP),
    textAttribute(name, link.hostName),
    attribute(address, macBytes(link.hostMac)),
    numberAttribute(mtu, mtuBytes),
    numberAttribute(master, bridgeIndex),
    attribute(linkInfo, textAttribute(kind, 'veth'), attribute(data, peer)),
  ];
  // A pod may reach itself through a service: its own packets come back over the port they came from.
  const hairpin = [
    linkHeader(0),
    textAttribute(name, link.hostName),
    attribute(
      linkInfo,
      textAttribute(portKind, 'bridge'),
      attribute(portData, byteAttribute(bridgePortHairpinAttribute, 1)),
    ),
  ];
  return [
    { type: newLink, flags: createNew, parts: pair, what: `making the link ${link.hostName}` },
    { type: newLink, parts: hairpin, what: `setting hairpin mode of ${link.hostName}` },
  ];
}

/** In the pod: the link up, its addresses, and default routes by the bridge. */
export function configurePod(link: PodLink, index: number): NetlinkChange[] {
  const { podName, addresses } = link;
  return [
    { type: newLink, parts: [linkHeader(index, IFF_UP)], what: `bringing ${podName} up` },
    ...addresses.map(({ address, prefix }) => addAddress(index, address, prefix, podName)),
    ...addresses.map(
      ({ address, prefix }): NetlinkChange => ({
        type: newRoute,
        flags: createNew,
        parts: [
          routeHeader(familyOf(address), 0),
          attribute(routeAttributes.gateway, addressBytes(gatewayOf(prefix))),
          numberAttribute(routeAttributes.device, index),
        ],
        what: `adding the default route by ${formatAddress(gatewayOf(prefix))}`,
        accepts: ['EEXIST'],
      }),
    ),
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
