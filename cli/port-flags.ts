/** Ports of `-p` and `-P`, read as docker's are and written as `berth ps` and `berth port` show them. */
import { type PortMappingInit, Protocol } from '#proto/generated/cri.ts';
import { UsageError } from './command.ts';
import type { FlagValues } from './flag-values.ts';

/** `[IP:]HOST:PORT[/PROTOCOL]` with one port each. Throws UsageError. */
export function parsePort(text: string): PortMappingInit {
  const [port, ...more] = parsePorts(text);
  if (port === undefined || more.length > 0 || port.host_port === 0) throw wrongPort(text);
  return port;
}

/**
 * `[[IP:][HOST]:]PORT[/PROTOCOL]` of `-p`, where HOST and PORT may be ranges of one length. A host port of 0 is to be chosen.
 * Throws UsageError.
 */
export function parsePorts(text: string): PortMappingInit[] {
  const range = '\\d+(?:-\\d+)?';
  const match = new RegExp(
    `^(?:(?:(\\[[0-9a-f:.]+\\]|[0-9.]+):)?(${range})?:)?(${range})(?:/(tcp|udp|sctp))?$`,
    'i',
  ).exec(text);
  const container = match === null ? [] : portsIn(match[3]!);
  const host = match?.[2] === undefined ? container.map(() => 0) : portsIn(match[2]);
  if (match === null || container.length === 0 || host.length !== container.length) throw wrongPort(text);
  const protocols: Readonly<Record<string, number>> = Protocol;
  return container.map((port, at) => ({
    host_ip: (match[1] ?? '').replace(/^\[|\]$/g, ''),
    host_port: host[at]!,
    container_port: port,
    protocol: protocols[(match[4] ?? 'tcp').toUpperCase()]!,
  }));
}

function wrongPort(text: string): UsageError {
  return new UsageError(
    `--publish: ${JSON.stringify(text)} is not [[IP:]HOST:]PORT[/PROTOCOL]`,
    'For instance -p 8080:80: port 8080 of this machine, port 80 of the container; ranges must be of one length.',
  );
}

/** [] for what is no range of ports. */
function portsIn(text: string): number[] {
  const [first = 0, last = first] = text.split('-').map(Number);
  if (!isPort(first) || !isPort(last) || last < first) return [];
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

/** What the flags publish, with the image's own ports (`80/tcp`) for -P. Throws UsageError. */
export function publishedPorts(flags: FlagValues, exposed: readonly string[]): readonly PortMappingInit[] {
  const asked = flags.list('publish').flatMap(parsePorts);
  const isAsked = (port: PortMappingInit) =>
    asked.some((each) => each.container_port === port.container_port && each.protocol === port.protocol);
  const others = flags.boolean('publish-all') ? exposed.flatMap(parsePorts) : [];
  const ports = [...asked, ...others.filter((port) => !isAsked(port))];
  if (ports.length > 0 && flags.string('network') !== 'default')
    throw new UsageError(`--publish says nothing with --network ${flags.string('network')}`);
  return ports;
}

function isPort(port: number): boolean {
  return port >= 1 && port <= 65535;
}

/** `0.0.0.0:8080->80/tcp`, as docker shows it. */
export function formatPort({ host_ip, host_port, container_port, protocol }: PortMappingInit): string {
  const ip = host_ip || '0.0.0.0';
  const name = Object.entries(Protocol).find(([, number]) => number === protocol)?.[0] ?? 'TCP';
  return `${ip.includes(':') ? `[${ip}]` : ip}:${host_port}->${container_port}/${name.toLowerCase()}`;
}
