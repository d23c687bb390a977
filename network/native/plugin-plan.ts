/**
 * Which CNI configurations Berth can carry out by itself, and how: `bridge` with addresses of `host-local`, alone or followed
 * by `portmap`. Strict: what is not known to the letter is left to the plugins, and the reason said. Keys and defaults are
 * those of the reference plugins (containernetworking/plugins, documentation of each plugin). Pure.
 */
import {
  type Cidr,
  contains,
  formatCidr,
  type IpAddress,
  lastAddress,
  makeCidr,
  parseAddress,
  parseCidr,
} from '../cidr.ts';
import type { NetworkList, PluginConfig } from '../cni/config.ts';
import { isAtLeast } from '../cni/version.ts';
import type { BridgePlan, PodRoute, PodSubnet } from './changes.ts';

/** All that the plugins of a configuration would do. */
export interface PluginPlan {
  readonly bridge: BridgePlan;
  /** Prefixes whose traffic to elsewhere leaves with the host's address. */
  readonly masquerade: readonly Cidr[];
  /** Whether the list has a plugin for host ports. */
  readonly publishesPorts: boolean;
}

export type PluginReading =
  | { readonly plan: PluginPlan; readonly reason: '' }
  | { readonly plan: undefined; readonly reason: string };

type Fields = Readonly<Record<string, unknown>>;

/** Ends the reading; the message is the reason. */
class NotUnderstood extends Error {}

/** Results before 0.3.0 have another form; plugins of 1.1.0 answer STATUS and GC in ways of their own. */
const [oldestVersion, newestVersion] = ['0.3.0', '1.0.0'];
const ethernetMtu = 1500;
const lowestMtu = { 4: 68, 6: 1280 } as const;
const highestMtu = 65_535;

const listKeys = ['cniVersion', 'cniVersions', 'name', 'disableCheck', 'disableGC', 'plugins'];
/** Of every plugin; libcni gives it the name and the version of the list. */
const commonKeys = ['type', 'name', 'cniVersion', 'capabilities'];
const bridgeKeys = [
  'bridge',
  'isGateway',
  'isDefaultGateway',
  'forceAddress',
  'ipMasq',
  'mtu',
  'hairpinMode',
  'ipam',
];
/** Keys that mean nothing with this value, and with every other one something that Berth does not do. */
const idle: Readonly<Record<string, unknown>> = {
  promiscMode: false,
  vlan: 0,
  macspoofchk: false,
  enabledad: false,
  disableContainerInterface: false,
  snat: true,
  masqAll: false,
};
const bridgeIdleKeys = ['promiscMode', 'vlan', 'macspoofchk', 'enabledad', 'disableContainerInterface'];
const portmapIdleKeys = ['snat', 'masqAll'];
const rangeKeys = ['subnet', 'rangeStart', 'rangeEnd', 'gateway'];

/** The plan of a list, or why its plugins have to run. `usedBridge` is the name of a bridge that is Berth's own. */
export function readPluginPlan(list: NetworkList, usedBridge: string): PluginReading {
  try {
    return { plan: readList(list, usedBridge), reason: '' };
  } catch (error) {
    if (error instanceof NotUnderstood) return { plan: undefined, reason: error.message };
    throw error;
  }
}

function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new NotUnderstood(`${what} is not an object`);
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new NotUnderstood(`${what} is not a list`);
}

function refuseOthers(fields: Fields, known: readonly string[], what: string): void {
  const other = Object.keys(fields).find((key) => !known.includes(key));
  if (other !== undefined) throw new NotUnderstood(`${what} has the key ${JSON.stringify(other)}`);
}

function refuseMeaning(fields: Fields, keys: readonly string[], what: string): void {
  for (const key of keys)
    if (key in fields && fields[key] !== idle[key])
      throw new NotUnderstood(`${what} has ${key} ${JSON.stringify(fields[key])}`);
}

function flagOf(fields: Fields, key: string): boolean {
  const value = fields[key] ?? false;
  if (typeof value === 'boolean') return value;
  throw new NotUnderstood(`${key} is neither true nor false`);
}

function textOf(fields: Fields, key: string, usual: string): string {
  const value = fields[key] ?? usual;
  if (typeof value === 'string') return value;
  throw new NotUnderstood(`${key} is not a text`);
}

function addressOf(fields: Fields, key: string): IpAddress | undefined {
  if (!(key in fields)) return undefined;
  const address = parseAddress(textOf(fields, key, ''));
  if (address) return address;
  throw new NotUnderstood(`${key} ${JSON.stringify(fields[key])} is no address`);
}

/** A prefix without host bits: the plugins differ in what they make of those. */
function prefixOf(fields: Fields, key: string): Cidr {
  const text = textOf(fields, key, '');
  const prefix = parseCidr(text);
  const base = parseAddress(text.split('/')[0]!);
  if (prefix && base?.value === prefix.base) return prefix;
  throw new NotUnderstood(`${key} ${JSON.stringify(text)} is no prefix`);
}

function readList(list: NetworkList, usedBridge: string): PluginPlan {
  const { cniVersion, name, plugins } = list;
  if (!isAtLeast(cniVersion, oldestVersion) || !isAtLeast(newestVersion, cniVersion))
    throw new NotUnderstood(`cniVersion is ${cniVersion}, not ${oldestVersion} to ${newestVersion}`);
  refuseOthers(JSON.parse(list.text) as Fields, listKeys, 'the list');
  const [bridge, ...others] = plugins;
  if (bridge?.type !== 'bridge') throw new NotUnderstood(`the first plugin is ${bridge?.type}, not bridge`);
  const further = others.find(({ type }, index) => type !== 'portmap' || index > 0);
  if (further) throw new NotUnderstood(`the plugin ${further.type} takes part`);
  const portmap = others[0];
  if (portmap) checkPortmap(portmap);
  const plan = readBridge(bridge, { name, cniVersion });
  if (plan.bridge === usedBridge)
    throw new NotUnderstood(`bridge ${plan.bridge} is that of the default network`);
  return {
    bridge: plan,
    masquerade: flagOf(bridge.raw, 'ipMasq') ? plan.subnets.map(({ prefix }) => prefix) : [],
    publishesPorts: portmap !== undefined,
  };
}

function checkPortmap({ raw, capabilities }: PluginConfig): void {
  refuseOthers(raw, [...commonKeys, ...portmapIdleKeys], 'portmap');
  refuseMeaning(raw, portmapIdleKeys, 'portmap');
  const other = [...capabilities].find((capability) => capability !== 'portMappings');
  if (other !== undefined) throw new NotUnderstood(`portmap asks for the capability ${other}`);
}

function readBridge(
  { raw, capabilities }: PluginConfig,
  { name, cniVersion }: { readonly name: string; readonly cniVersion: string },
): BridgePlan {
  refuseOthers(raw, [...commonKeys, ...bridgeKeys, ...bridgeIdleKeys], 'bridge');
  refuseMeaning(raw, bridgeIdleKeys, 'bridge');
  const [capability] = capabilities;
  if (capability !== undefined) throw new NotUnderstood(`bridge asks for the capability ${capability}`);
  const bridge = textOf(raw, 'bridge', 'cni0');
  if (!/^[^\s/:%]{1,15}$/.test(bridge) || Buffer.byteLength(bridge) > 15 || /^\.{1,2}$/.test(bridge))
    throw new NotUnderstood(`bridge ${JSON.stringify(bridge)} is no name for a link`);
  const ipam = fieldsOf(raw.ipam, 'ipam');
  const subnets = readSubnets(ipam);
  const isDefaultGateway = flagOf(raw, 'isDefaultGateway');
  const dataDir = textOf(ipam, 'dataDir', '/var/lib/cni/networks') || '/var/lib/cni/networks';
  if (!dataDir.startsWith('/')) throw new NotUnderstood(`dataDir ${JSON.stringify(dataDir)} is not absolute`);
  return {
    bridge,
    network: `the network ${name}`,
    subnets,
    routes: readRoutes(ipam, subnets, isDefaultGateway),
    mtuBytes: readMtu(raw, subnets),
    isGateway: isDefaultGateway || flagOf(raw, 'isGateway'),
    hasHairpin: flagOf(raw, 'hairpinMode'),
    found: flagOf(raw, 'forceAddress') ? 'replace' : 'refuse',
    addresses: { dir: `${dataDir}/${name}`, isShared: true },
    cniVersion,
  };
}

function readMtu(raw: Fields, subnets: readonly PodSubnet[]): number {
  const mtu = raw.mtu ?? 0;
  if (mtu === 0) return ethernetMtu;
  const lowest = Math.max(...subnets.map(({ prefix }) => lowestMtu[prefix.family]));
  if (typeof mtu === 'number' && Number.isInteger(mtu) && mtu >= lowest && mtu <= highestMtu) return mtu;
  throw new NotUnderstood(`mtu ${JSON.stringify(mtu)} is not between ${lowest} and ${highestMtu}`);
}

/** One range of each family: `subnet` beside `ranges` stands before them. */
function readSubnets(ipam: Fields): PodSubnet[] {
  if (ipam.type !== 'host-local') throw new NotUnderstood(`ipam is of the type ${JSON.stringify(ipam.type)}`);
  refuseOthers(ipam, ['type', 'dataDir', 'routes', 'ranges', ...rangeKeys], 'ipam');
  const { subnet, rangeStart, rangeEnd, gateway } = ipam;
  const single = subnet === undefined ? [] : [[pick({ subnet, rangeStart, rangeEnd, gateway })]];
  if (single.length === 0 && (rangeStart ?? rangeEnd ?? gateway) !== undefined)
    throw new NotUnderstood('ipam has a range without a subnet');
  const sets = [...single, ...listOf(ipam.ranges ?? [], 'ranges')].map((set) =>
    listOf(set, 'a set of ranges'),
  );
  const subnets = sets.map((set) => {
    if (set.length !== 1) throw new NotUnderstood('a set has not just one range');
    return readRange(fieldsOf(set[0], 'a range'));
  });
  const families = subnets.map(({ prefix }) => prefix.family);
  if (subnets.length === 0) throw new NotUnderstood('ipam has no subnet');
  if (new Set(families).size < families.length)
    throw new NotUnderstood('a family has several sets of ranges');
  return subnets;
}

const pick = (fields: Fields): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

function readRange(range: Fields): PodSubnet {
  refuseOthers(range, rangeKeys, 'a range');
  const prefix = prefixOf(range, 'subnet');
  const { family } = prefix;
  const hostBits = (family === 4 ? 32 : 128) - prefix.prefix;
  if (hostBits < 2) throw new NotUnderstood(`subnet ${formatCidr(prefix)} is too small for pods`);
  const gateway = addressOf(range, 'gateway') ?? { family, value: prefix.base + 1n };
  const first = addressOf(range, 'rangeStart') ?? { family, value: prefix.base + 1n };
  // Only IPv4 keeps its last address for broadcast.
  const broadcast = family === 4 ? 1n : 0n;
  const last = addressOf(range, 'rangeEnd') ?? { family, value: lastAddress(prefix).value - broadcast };
  if (![gateway, first, last].every((address) => contains(prefix, address)) || first.value > last.value)
    throw new NotUnderstood(`the range of ${formatCidr(prefix)} does not lie in it`);
  return { prefix, gateway, first: first.value, last: last.value };
}

function readRoutes(ipam: Fields, subnets: readonly PodSubnet[], isDefaultGateway: boolean): PodRoute[] {
  const routes = listOf(ipam.routes ?? [], 'routes').map((value): PodRoute => {
    const route = fieldsOf(value, 'a route');
    refuseOthers(route, ['dst', 'gw'], 'a route');
    return { destination: prefixOf(route, 'dst'), gateway: addressOf(route, 'gw') };
  });
  for (const { prefix, gateway } of isDefaultGateway ? subnets : []) {
    const destination = makeCidr(prefix.family, 0n, 0);
    const has = routes.some(
      (route) => route.gateway && formatCidr(route.destination) === formatCidr(destination),
    );
    if (!has) routes.push({ destination, gateway });
  }
  for (const { destination, gateway } of routes) {
    const text = formatCidr(destination);
    const subnet = subnets.find(({ prefix }) => prefix.family === destination.family);
    if (!subnet) throw new NotUnderstood(`a route leads to ${text}, a family without addresses`);
    if (gateway && !contains(subnet.prefix, gateway))
      throw new NotUnderstood(`the route to ${text} is by a gateway outside ${formatCidr(subnet.prefix)}`);
    if (routes.filter((route) => formatCidr(route.destination) === text).length > 1)
      throw new NotUnderstood(`several routes lead to ${text}`);
  }
  return routes;
}
