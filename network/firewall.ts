/**
 * Berth's packet rules: one nftables table, `inet berth`, always written as a whole in one transaction. So what is there
 * is what this process knows, also after somebody flushed the ruleset or a predecessor was killed half-way.
 *
 * Kernels need `nat` chains of the inet family (5.2 and up). IPv6 loopback (`[::1]:hostPort`) cannot be published: the
 * kernel has no `route_localnet` for IPv6.
 */
import { writeFileSync } from 'node:fs';
import { messageOf, RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { describeStatus, type RunResult, run, succeeded } from '#host/launch.ts';
import { type Cidr, formatCidr, type IpFamily, parseCidr } from './cidr.ts';
import type { PortTranslation, Publication } from './host-ports.ts';
import type { ProgramPaths } from './program-path.ts';

/** Everything that the table says. */
export interface Ruleset {
  /** Pod prefixes whose traffic to elsewhere leaves with the host's address. */
  readonly masquerade: readonly Cidr[];
  readonly publications: readonly Publication[];
}

const ipName = (family: IpFamily): string => (family === 4 ? 'ip' : 'ip6');
const addressType = (family: IpFamily): string => (family === 4 ? 'ipv4_addr' : 'ipv6_addr');
const families: readonly IpFamily[] = [4, 6];
const runTimeoutMs = 30_000;

function elementsOf(lines: readonly string[]): string {
  return lines.length === 0 ? '' : `elements = { ${[...new Set(lines)].join(', ')} }`;
}

function renderMasquerade(networks: readonly Cidr[]): string {
  const rules = networks.map((network) => {
    const ip = ipName(network.family);
    const text = formatCidr(network);
    const multicast = network.family === 4 ? '224.0.0.0/4' : 'ff00::/8';
    return `${ip} saddr ${text} ${ip} daddr != { ${text}, ${multicast} } masquerade`;
  });
  return `chain pod_masquerade {
type nat hook postrouting priority srcnat; policy accept;
${rules.join('\n')}
}`;
}

function translationElement(translation: PortTranslation, sandboxId: string): string {
  const { hostIp, protocol, hostPort, podIp, containerPort } = translation;
  const key = `${hostIp === '' ? '' : `${hostIp} . `}${protocol} . ${hostPort}`;
  return `${key} comment "${sandboxId}" : ${podIp} . ${containerPort}`;
}

function renderMaps(publications: readonly Publication[], family: IpFamily): string {
  const type = addressType(family);
  const any: string[] = [];
  const single: string[] = [];
  const neighbours: string[] = [];
  const pods: string[] = [];
  for (const { sandboxId, translations, neighbours: near } of publications) {
    for (const translation of translations) {
      if (translation.family !== family) continue;
      (translation.hostIp === '' ? any : single).push(translationElement(translation, sandboxId));
      pods.push(translation.podIp);
    }
    for (const { family: nearFamily, source, podIp } of near) {
      if (nearFamily === family)
        neighbours.push(`${source.includes('/') ? networkOf(source) : source} . ${podIp}`);
    }
  }
  return `map any${family} { type inet_proto . inet_service : ${type} . inet_service; ${elementsOf(any)} }
map single${family} { type ${type} . inet_proto . inet_service : ${type} . inet_service; ${elementsOf(single)} }
set neighbours${family} { type ${type} . ${type}; flags interval; ${elementsOf(neighbours)} }
set pods${family} { type ${type}; ${elementsOf(pods)} }`;
}

function networkOf(addressWithPrefix: string): string {
  return formatCidr(parseCidr(addressWithPrefix)!);
}

const translate = `dnat ip to ip daddr . meta l4proto . th dport map @single4
dnat ip6 to ip6 daddr . meta l4proto . th dport map @single6
fib daddr type local dnat ip to meta l4proto . th dport map @any4
ip6 daddr != ::1 fib daddr type local dnat ip6 to meta l4proto . th dport map @any6`;

function renderPorts(publications: readonly Publication[]): string {
  const devices = [...new Set(publications.map(({ device }) => device).filter((device) => device !== ''))];
  const guard =
    devices.length === 0
      ? ''
      : `chain port_guard {
type filter hook prerouting priority raw; policy accept;
iifname { ${devices.map((device) => `"${device}"`).join(', ')} } ip daddr 127.0.0.0/8 drop
}`;
  return `${families.map((family) => renderMaps(publications, family)).join('\n')}
chain port_prerouting {
type nat hook prerouting priority dstnat; policy accept;
${translate}
}
chain port_output {
type nat hook output priority -100; policy accept;
${translate}
}
chain port_hairpin {
type nat hook postrouting priority srcnat; policy accept;
ct status dnat ip saddr . ip daddr @neighbours4 masquerade
ct status dnat ip6 saddr . ip6 daddr @neighbours6 masquerade
ct status dnat ip saddr 127.0.0.0/8 ip daddr @pods4 masquerade
}
${guard}`;
}

/**
 * The text for `nft -f -` that makes the table say exactly this, whatever it said before; with nothing to say, the table
 * goes.
 *
 * Loopback addresses can be routed towards a pod only with `route_localnet` on that device, which would also let pods
 * reach services bound to 127.0.0.1; `port_guard` takes that back. Connections from a pod's own link come back over the
 * link without passing the host, so they are masqueraded as well (`port_hairpin`).
 */
export function renderRuleset(ruleset: Ruleset, table: string): string {
  const replace = `table inet ${table}\ndelete table inet ${table}\n`;
  const parts: string[] = [];
  if (ruleset.masquerade.length > 0) parts.push(renderMasquerade(ruleset.masquerade));
  if (ruleset.publications.length > 0) parts.push(renderPorts(ruleset.publications));
  if (parts.length === 0) return replace;
  return `${replace}table inet ${table} {\n${parts.join('\n')}\n}\n`;
}

export interface FirewallOptions {
  readonly programs: ProgramPaths;
  readonly log: Log;
  /** Name of the table; tests use their own. */
  readonly table: string;
}

export class Firewall {
  readonly #programs: ProgramPaths;
  readonly #log: Log;
  readonly #table: string;
  #masquerade: readonly Cidr[] = [];
  readonly #publications = new Map<string, Publication>();
  /** What the host says; undefined where a write may have happened or not. */
  #applied: string | undefined;
  /** Of which prefixes the rules are, whichever of the writes so far have happened; undefined where that depends on one. */
  #masqueraded: string | undefined;
  #running: Promise<void> = Promise.resolve();
  #queued: Promise<void> | undefined;
  #hasWarnedOfConntrack = false;

  constructor(options: FirewallOptions) {
    this.#programs = options.programs;
    this.#log = options.log;
    this.#table = options.table;
    this.#applied = renderRuleset({ masquerade: [], publications: [] }, this.#table);
  }

  /** Whether the program that writes the rules is there. */
  get isAvailable(): boolean {
    return this.#programs.find('nft') !== undefined;
  }

  /** The path of that program. Throws FailedPrecondition if it is missing. */
  requireProgram(): string {
    const path = this.#programs.find('nft');
    if (path !== undefined) return path;
    throw new RuntimeError(
      'FailedPrecondition',
      'writing packet rules: the program nft is missing; install the package nftables',
    );
  }

  /** Changes which prefixes are masqueraded; `apply` makes it so. */
  setMasquerade(networks: readonly Cidr[]): void {
    this.#masquerade = networks;
  }

  /** Whether the host masquerades exactly these, also while a write is under way that may take long or fail. */
  masqueradesOnly(networks: readonly Cidr[]): boolean {
    return this.#masqueraded === renderMasquerade(networks);
  }

  /** Adds or replaces what is published for a pod, and opens its device to loopback addresses; `apply` makes it so. */
  publish(publication: Publication): void {
    this.#publications.set(publication.sandboxId, publication);
    if (publication.device !== '') this.#routeLocalnet(publication.device);
  }

  /** Drops what is published for a pod, false if nothing was; `apply` makes it so. */
  withdraw(sandboxId: string): boolean {
    return this.#publications.delete(sandboxId);
  }

  /**
   * Writes the table if it should say something else than when it was last written, or always if `force`. Calls that
   * arrive while another is writing share one write. Throws FailedPrecondition without `nft`, Internal if it refuses.
   */
  apply(force = false): Promise<void> {
    if (force) {
      this.#applied = undefined;
      this.#masqueraded = undefined;
    }
    if (!this.#queued) {
      const queued = this.#running.then(() => {
        this.#queued = undefined;
        return this.#write();
      });
      this.#queued = queued;
      this.#running = queued.catch(() => {});
    }
    return this.#queued;
  }

  async #write(): Promise<void> {
    const ruleset = { masquerade: this.#masquerade, publications: [...this.#publications.values()] };
    const text = renderRuleset(ruleset, this.#table);
    const masquerade = renderMasquerade(ruleset.masquerade);
    if (text === this.#applied) {
      this.#masqueraded = masquerade;
      return;
    }
    if (this.#masqueraded !== masquerade) this.#masqueraded = undefined;
    const result = await this.#nft(text);
    if (succeeded(result.status)) {
      this.#applied = text;
      this.#masqueraded = masquerade;
      return;
    }
    // It writes all or nothing: what it refuses it has not written. One that was killed may have.
    if (result.status.type !== 'exited') this.#applied = undefined;
    const said = result.stderr.toString('utf8').trim().slice(0, 2000);
    throw new RuntimeError(
      'Internal',
      `writing packet rules: nft: ${describeStatus(result.status)}: ${said}; inet nat chains need Linux 5.2`,
    );
  }

  async #nft(input: string): Promise<RunResult> {
    const path = this.requireProgram();
    try {
      return await run({ path, args: ['-f', '-'], input, timeoutMs: runTimeoutMs });
    } catch (error) {
      this.#applied = undefined;
      throw error;
    }
  }

  #routeLocalnet(device: string): void {
    try {
      writeFileSync(`/proc/sys/net/ipv4/conf/${device}/route_localnet`, '1');
    } catch (error) {
      this.#log.warn(
        { device },
        `host ports do not answer on 127.0.0.1: route_localnet: ${messageOf(error)}`,
      );
    }
  }

  /**
   * Forgets UDP flows to these host ports: a flow that began before the rules would go on past them until it idles out.
   * Without the program `conntrack` this is said once in the log and left undone.
   */
  async forgetUdpFlows(publication: Publication): Promise<void> {
    const udp = publication.translations.filter(({ protocol }) => protocol === 'udp');
    if (udp.length === 0) return;
    const path = this.#programs.find('conntrack');
    if (path === undefined) {
      if (!this.#hasWarnedOfConntrack) {
        this.#log.warn(
          'the program conntrack is missing: old UDP flows to new host ports go on until they idle out',
        );
      }
      this.#hasWarnedOfConntrack = true;
      return;
    }
    const wanted = new Set(
      udp.map(({ family, hostPort }) => `${family === 4 ? 'ipv4' : 'ipv6'} ${hostPort}`),
    );
    for (const key of wanted) {
      const [family = '', port = ''] = key.split(' ');
      const args = ['-D', '-f', family, '-p', 'udp', '--orig-port-dst', port];
      // Exit status 1 says that there was no such flow.
      await run({ path, args, timeoutMs: runTimeoutMs });
    }
  }
}
