/**
 * The bytes of rtnetlink: links, addresses and routes as the kernel is asked for them and as it answers (netlink(7),
 * rtnetlink(7), include/uapi/linux/{netlink,rtnetlink,if_link,if_addr}.h). Pure; `rtnetlink.ts` has the socket. Numbers are
 * in host byte order, which is little-endian on every machine that Berth runs on; addresses are in network byte order.
 */

export const messageTypes = {
  error: 2,
  done: 3,
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  setLink: 19,
  newAddress: 20,
  deleteAddress: 21,
  getAddress: 22,
  newRoute: 24,
} as const;

export const messageFlags = {
  request: 0x1,
  ack: 0x4,
  dump: 0x300,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
} as const;

export const linkAttributes = {
  address: 1,
  name: 3,
  mtu: 4,
  master: 10,
  linkInfo: 18,
  netnsFd: 28,
} as const;

/** Inside `linkInfo`. */
export const linkInfoAttributes = { kind: 1, data: 2, portKind: 4, portData: 5 } as const;
export const vethPeerAttribute = 1;
export const bridgePortHairpinAttribute = 4;
export const addressAttributes = { address: 1, local: 2, broadcast: 4, flags: 8 } as const;
export const routeAttributes = { destination: 1, device: 4, gateway: 5 } as const;

export const IFF_UP = 0x1;
export const AF_UNSPEC = 0;
export const AF_INET = 2;
export const AF_INET6 = 10;
/** The address is usable at once: nobody is asked first whether it is taken (RFC 4862, section 5.4). */
export const IFA_F_NODAD = 0x2;

const tableMain = 254;
/** RTPROT_BOOT: what `ip route` and the CNI plugins write. */
const protocolBoot = 3;
const scopeUniverse = 0;
const typeUnicast = 1;

const headerBytes = 16;
const attributeHeaderBytes = 4;
const aligned = (length: number): number => (length + 3) & ~3;

/** One attribute, padded to a multiple of four bytes. */
export function attribute(type: number, ...payload: readonly Buffer[]): Buffer {
  const length = attributeHeaderBytes + payload.reduce((sum, part) => sum + part.length, 0);
  const bytes = Buffer.alloc(aligned(length));
  bytes.writeUInt16LE(length, 0);
  bytes.writeUInt16LE(type, 2);
  let offset = attributeHeaderBytes;
  for (const part of payload) offset += part.copy(bytes, offset);
  return bytes;
}

/** An attribute that holds text, ended by NUL. */
export function textAttribute(type: number, text: string): Buffer {
  return attribute(type, Buffer.from(`${text}\0`));
}

export function numberAttribute(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return attribute(type, bytes);
}

export function byteAttribute(type: number, value: number): Buffer {
  return attribute(type, Buffer.of(value));
}

/** What stands before the attributes of a link message; index 0 when the name attribute or nothing tells which link. */
export function linkHeader(index: number, flags = 0, change = flags): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(flags, 8);
  bytes.writeUInt32LE(change, 12);
  return bytes;
}

/** What stands before the attributes of an address message. */
export function addressHeader(family: number, prefix: number, index: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(family, 0);
  bytes.writeUInt8(prefix, 1);
  bytes.writeUInt8(scopeUniverse, 3);
  bytes.writeUInt32LE(index, 4);
  return bytes;
}

/** What stands before the attributes of a unicast route of the main table; prefix 0 without a destination is the default route. */
export function routeHeader(family: number, prefix: number): Buffer {
  return Buffer.of(family, prefix, 0, 0, tableMain, protocolBoot, scopeUniverse, typeUnicast, 0, 0, 0, 0);
}

/** A whole message. `sequence` names it in the answer. */
export function encodeMessage(
  type: number,
  flags: number,
  sequence: number,
  parts: readonly Buffer[],
): Buffer {
  const length = headerBytes + parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = Buffer.alloc(aligned(length));
  bytes.writeUInt32LE(length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  let offset = headerBytes;
  for (const part of parts) offset += part.copy(bytes, offset);
  return bytes;
}

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** What follows the header. */
  readonly body: Buffer;
}

/** The messages of one datagram. What is cut off, or claims to be longer than the datagram, ends the list. */
export function splitMessages(datagram: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  let offset = 0;
  while (offset + headerBytes <= datagram.length) {
    const length = datagram.readUInt32LE(offset);
    if (length < headerBytes || offset + length > datagram.length) break;
    messages.push({
      type: datagram.readUInt16LE(offset + 4),
      flags: datagram.readUInt16LE(offset + 6),
      sequence: datagram.readUInt32LE(offset + 8),
      body: datagram.subarray(offset + headerBytes, offset + length),
    });
    offset += aligned(length);
  }
  return messages;
}

/** Attributes by type; of several with one type the last. What is cut off ends the list. */
export function parseAttributes(bytes: Buffer): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  let offset = 0;
  while (offset + attributeHeaderBytes <= bytes.length) {
    const length = bytes.readUInt16LE(offset);
    if (length < attributeHeaderBytes || offset + length > bytes.length) break;
    // The two highest bits say how the payload is made (NLA_F_NESTED, NLA_F_NET_BYTEORDER).
    const type = bytes.readUInt16LE(offset + 2) & 0x3fff;
    attributes.set(type, bytes.subarray(offset + attributeHeaderBytes, offset + length));
    offset += aligned(length);
  }
  return attributes;
}

const textOf = (payload: Buffer | undefined): string => payload?.toString('utf8').replace(/\0.*$/s, '') ?? '';

export interface Acknowledgement {
  /** 0 when the request was carried out. */
  readonly errno: number;
  /** What the kernel says about a refusal; often ''. */
  readonly text: string;
}

const flagHasAttributes = 0x200;
const flagIsCapped = 0x100;
const errorTextAttribute = 1;

/** Reads a message of type `error`, which is also how success is told. */
export function parseAcknowledgement({ body, flags }: NetlinkMessage): Acknowledgement {
  const errno = 0 - body.readInt32LE(0);
  if ((flags & flagHasAttributes) === 0 || body.length < 4 + headerBytes) return { errno, text: '' };
  // The request comes back first: its header alone when capped, else the whole of it.
  const echoed = (flags & flagIsCapped) === 0 ? aligned(body.readUInt32LE(4)) : headerBytes;
  return { errno, text: textOf(parseAttributes(body.subarray(4 + echoed)).get(errorTextAttribute)) };
}

export interface LinkEntry {
  readonly index: number;
  readonly name: string;
  readonly flags: number;
  readonly mtu: number;
  /** Hexadecimal with colons; '' for a link without one. */
  readonly mac: string;
  /** Index of the bridge that it is a port of; 0 for none. */
  readonly master: number;
  /** `veth`, `bridge`; '' for a physical one. */
  readonly kind: string;
}

/** Reads the body of a `newLink` message. */
export function parseLink(body: Buffer): LinkEntry {
  const attributes = parseAttributes(body.subarray(16));
  const info = parseAttributes(attributes.get(linkAttributes.linkInfo) ?? Buffer.alloc(0));
  return {
    index: body.readInt32LE(4),
    flags: body.readUInt32LE(8),
    name: textOf(attributes.get(linkAttributes.name)),
    mtu: attributes.get(linkAttributes.mtu)?.readUInt32LE() ?? 0,
    mac:
      attributes
        .get(linkAttributes.address)
        ?.toString('hex')
        .replace(/..(?=.)/g, '$&:') ?? '',
    master: attributes.get(linkAttributes.master)?.readUInt32LE() ?? 0,
    kind: textOf(info.get(linkInfoAttributes.kind)),
  };
}

export interface AddressEntry {
  readonly family: number;
  readonly prefix: number;
  /** Of the link. */
  readonly index: number;
  /** 253 is the link, 0 everywhere. */
  readonly scope: number;
  /** 4 or 16 bytes. */
  readonly address: Buffer;
}

/** Reads the body of a `newAddress` message. */
export function parseAddressEntry(body: Buffer): AddressEntry {
  const attributes = parseAttributes(body.subarray(8));
  const { local, address } = addressAttributes;
  return {
    family: body.readUInt8(0),
    prefix: body.readUInt8(1),
    scope: body.readUInt8(3),
    index: body.readUInt32LE(4),
    address: attributes.get(local) ?? attributes.get(address) ?? Buffer.alloc(0),
  };
}
