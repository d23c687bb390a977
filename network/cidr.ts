/** IP addresses and prefixes as numbers, so that overlap and containment are arithmetic. */
import { isIPv4, isIPv6, SocketAddress } from 'node:net';

export type IpFamily = 4 | 6;

export interface IpAddress {
  readonly family: IpFamily;
  readonly value: bigint;
}

/** A prefix; the bits of `base` below `prefix` are zero. */
export interface Cidr {
  readonly family: IpFamily;
  readonly base: bigint;
  readonly prefix: number;
}

const bitsOf = (family: IpFamily): number => (family === 4 ? 32 : 128);

function parseIpv4(text: string): bigint {
  return text.split('.').reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}

function parseIpv6(text: string): bigint {
  let groups = text;
  const lastColon = text.lastIndexOf(':');
  if (text.includes('.')) {
    const embedded = parseIpv4(text.slice(lastColon + 1));
    groups = `${text.slice(0, lastColon + 1)}${(embedded >> 16n).toString(16)}:${(embedded & 0xffffn).toString(16)}`;
  }
  const [head = '', tail] = groups.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros: string[] = Array(8 - left.length - right.length).fill('0');
  return [...left, ...zeros, ...right].reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}

/** The address that `text` names; undefined if it is none, or has a zone. */
export function parseAddress(text: string): IpAddress | undefined {
  if (isIPv4(text)) return { family: 4, value: parseIpv4(text) };
  if (isIPv6(text) && !text.includes('%')) return { family: 6, value: parseIpv6(text) };
  return undefined;
}

/** The usual text of an address (RFC 5952 for IPv6). */
export function formatAddress(address: IpAddress): string {
  if (address.family === 4) {
    return [24n, 16n, 8n, 0n].map((shift) => (address.value >> shift) & 0xffn).join('.');
  }
  const hex = address.value.toString(16).padStart(32, '0');
  const groups = hex.match(/.{4}/g)!.join(':');
  return new SocketAddress({ address: groups, family: 'ipv6' }).address;
}

/** The 4 or 16 bytes of an address, in network byte order. */
export function addressBytes({ family, value }: IpAddress): Buffer {
  return Buffer.from(value.toString(16).padStart(bitsOf(family) / 4, '0'), 'hex');
}

/** The address of these 4 or 16 bytes; undefined for another number of bytes. */
export function addressOf(bytes: Buffer): IpAddress | undefined {
  if (bytes.length !== 4 && bytes.length !== 16) return undefined;
  return { family: bytes.length === 4 ? 4 : 6, value: BigInt(`0x${bytes.toString('hex')}`) };
}

/** The last address of a prefix; in IPv4 that is the broadcast address of a link. */
export function lastAddress(cidr: Cidr): IpAddress {
  const hostBits = BigInt(bitsOf(cidr.family) - cidr.prefix);
  return { family: cidr.family, value: cidr.base + (1n << hostBits) - 1n };
}

function mask(value: bigint, family: IpFamily, prefix: number): bigint {
  const hostBits = BigInt(bitsOf(family) - prefix);
  return (value >> hostBits) << hostBits;
}

/** The prefix that `text` (`10.1.2.3/16`) lies in; undefined if it is not of that form. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const address = parseAddress(text.slice(0, slash));
  const prefixText = text.slice(slash + 1);
  if (!address || !/^\d{1,3}$/.test(prefixText)) return undefined;
  const prefix = Number(prefixText);
  if (prefix > bitsOf(address.family)) return undefined;
  return makeCidr(address.family, address.value, prefix);
}

/** The prefix of that length around `value`. */
export function makeCidr(family: IpFamily, value: bigint, prefix: number): Cidr {
  return { family, base: mask(value, family, prefix), prefix };
}

export function formatCidr(cidr: Cidr): string {
  return `${formatAddress({ family: cidr.family, value: cidr.base })}/${cidr.prefix}`;
}

/** Whether two prefixes share an address. */
export function overlaps(one: Cidr, other: Cidr): boolean {
  if (one.family !== other.family) return false;
  const prefix = Math.min(one.prefix, other.prefix);
  return mask(one.base, one.family, prefix) === mask(other.base, other.family, prefix);
}

/** Whether `address` lies in `cidr`. */
export function contains(cidr: Cidr, address: IpAddress): boolean {
  return address.family === cidr.family && mask(address.value, cidr.family, cidr.prefix) === cidr.base;
}
