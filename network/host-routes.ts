/** The routes of the host's main table, as the kernel shows them in /proc/net (proc(5)). Read without any program. */
import { readFileSync } from 'node:fs';
import { type Cidr, contains, type IpAddress, makeCidr } from './cidr.ts';

export interface HostRoute {
  readonly destination: Cidr;
  readonly device: string;
  /** Learned from a router advertisement (RTF_ADDRCONF). */
  readonly isAdvertised: boolean;
}

const RTF_UP = 0x1;
const RTF_ADDRCONF = 0x40000;

/** Parses /proc/net/route: destination and mask are words in host byte order, written as hexadecimal (little-endian here). */
export function parseIpv4Routes(text: string): HostRoute[] {
  const routes: HostRoute[] = [];
  for (const line of text.split('\n').slice(1)) {
    const [device, destination, , flags, , , , mask] = line.split(/\s+/);
    if (!device || !destination || !flags || !mask) continue;
    if ((Number.parseInt(flags, 16) & RTF_UP) === 0) continue;
    const prefix = [...Number.parseInt(mask, 16).toString(2)].filter((bit) => bit === '1').length;
    const value = Buffer.from(destination, 'hex').readUInt32LE();
    routes.push({ destination: makeCidr(4, BigInt(value), prefix), device, isAdvertised: false });
  }
  return routes;
}

/** Parses /proc/net/ipv6_route; local and multicast entries of the kernel itself are among them. */
export function parseIpv6Routes(text: string): HostRoute[] {
  const routes: HostRoute[] = [];
  for (const line of text.split('\n')) {
    const fields = line.trim().split(/\s+/);
    const [destination, prefix] = fields;
    if (fields.length < 10 || !destination || !prefix) continue;
    routes.push({
      destination: makeCidr(6, BigInt(`0x${destination}`), Number.parseInt(prefix, 16)),
      device: fields[9]!,
      isAdvertised: (Number.parseInt(fields[8]!, 16) & RTF_ADDRCONF) !== 0,
    });
  }
  return routes;
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // no such table: that family is off
  }
}

/** All routes of both families. */
export function listHostRoutes(): HostRoute[] {
  return [
    ...parseIpv4Routes(readOrEmpty('/proc/net/route')),
    ...parseIpv6Routes(readOrEmpty('/proc/net/ipv6_route')),
  ];
}

/** The device that the longest matching prefix names for `address`; undefined if only a default route, or none, matches. */
export function findDeviceTowards(address: IpAddress, routes: readonly HostRoute[]): string | undefined {
  let best: HostRoute | undefined;
  for (const route of routes) {
    if (route.destination.prefix === 0 || !contains(route.destination, address)) continue;
    if (!best || route.destination.prefix > best.destination.prefix) best = route;
  }
  return best?.device;
}
