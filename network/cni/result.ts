/** Results of CNI plugins, of every version of the specification, in one form (CNI SPEC, section 5; 0.2.0 SPEC, section Result). */
import { RuntimeError } from '#base/errors.ts';
import { type IpFamily, parseAddress } from '../cidr.ts';

export interface ResultInterface {
  readonly name: string;
  readonly mac: string;
  /** The namespace's path; '' for an interface of the host. */
  readonly sandbox: string;
}

export interface ResultIp {
  readonly address: string;
  readonly family: IpFamily;
  readonly prefix: number;
  readonly gateway: string;
  /** Index into `interfaces`; undefined if the plugin did not say. */
  readonly interfaceIndex: number | undefined;
}

export interface CniResult {
  readonly interfaces: readonly ResultInterface[];
  readonly ips: readonly ResultIp[];
}

type Fields = Readonly<Record<string, unknown>>;

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null ? (value as Fields) : {};
const listOf = (value: unknown): Fields[] => (Array.isArray(value) ? value.map(fieldsOf) : []);

function parseIp(cidr: unknown, gateway: unknown, interfaceIndex: unknown): ResultIp {
  const [address = '', prefix = ''] = text(cidr).split('/');
  const parsed = parseAddress(address);
  if (!parsed || !/^\d{1,3}$/.test(prefix) || Number(prefix) > (parsed.family === 4 ? 32 : 128)) {
    // Only a text is quoted: anything else may be of any size.
    const shown =
      typeof cidr === 'string' ? JSON.stringify(cidr.slice(0, 100)) : `a value of type ${typeof cidr}`;
    throw new RuntimeError('Internal', `CNI result: ${shown} is not an address with a prefix length`);
  }
  return {
    address,
    family: parsed.family,
    prefix: Number(prefix),
    gateway: text(gateway),
    interfaceIndex: typeof interfaceIndex === 'number' ? interfaceIndex : undefined,
  };
}

/**
 * Reads a result of any version: 0.1.0 and 0.2.0 have `ip4` and `ip6`, later ones `interfaces` and `ips`.
 * Throws Internal if it is no result or an address in it is none.
 */
export function normaliseResult(raw: unknown): CniResult {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    throw new RuntimeError('Internal', 'CNI result: not a JSON object');
  }
  const result = raw as Fields;
  const oldStyle = [result.ip4, result.ip6]
    .filter((entry) => entry !== undefined && entry !== null)
    .map(fieldsOf);
  if (oldStyle.length > 0) {
    return {
      interfaces: [],
      ips: oldStyle.map((entry) => parseIp(entry.ip, entry.gateway, undefined)),
    };
  }
  return {
    interfaces: listOf(result.interfaces).map((entry) => ({
      name: text(entry.name),
      mac: text(entry.mac),
      sandbox: text(entry.sandbox),
    })),
    ips: listOf(result.ips).map((entry) => parseIp(entry.address, entry.gateway, entry.interface)),
  };
}

/** Which address of a pod comes first: the first of that family, or (`cni`) the first of the result. */
export type IpPreference = 'ipv4' | 'ipv6' | 'cni';

/** The addresses of the pod's interface, in result order, each once. */
export function listPodIps(result: CniResult, ifName: string): ResultIp[] {
  const seen = new Set<string>();
  return result.ips.filter((ip) => {
    if (ip.interfaceIndex !== undefined) {
      const owner = result.interfaces[ip.interfaceIndex];
      if (owner && (owner.name !== ifName || owner.sandbox === '')) return false;
    }
    if (seen.has(ip.address)) return false;
    seen.add(ip.address);
    return true;
  });
}

/** The same addresses with the preferred one first; the others keep their order. */
export function orderByPreference(ips: readonly ResultIp[], preference: IpPreference): ResultIp[] {
  if (preference === 'cni') return [...ips];
  const wanted: IpFamily = preference === 'ipv4' ? 4 : 6;
  const primary = ips.find((ip) => ip.family === wanted);
  return primary ? [primary, ...ips.filter((ip) => ip !== primary)] : [...ips];
}
