/**
 * The audit of pod networks: debts, libcni's cache, address reservations, links and packet rules against the pods that may
 * have them. It changes nothing; see runtime/audit.ts for what it may see of work under way.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Finding } from '#base/finding.ts';
import { defaultPath, run, succeeded } from '#host/launch.ts';
import { parseRuled, ruledPath } from './builtin-plugins.ts';
import { formatCidr } from './cidr.ts';
import { parseNetworkList } from './cni/config.ts';
import { loadFolder } from './cni/config-folder.ts';
import type { Debt } from './debts.ts';
import { defaultNetworkOptions } from './default-network.ts';
import { readPluginPlan } from './native/plugin-plan.ts';
import { ProgramPaths } from './program-path.ts';
import { readRecord } from './record-file.ts';

/** A pod as far as the network is concerned. */
export interface AuditedPod {
  readonly id: string;
  /** Whether its network must be there. */
  readonly isReady: boolean;
  /** Whether it is being made or removed. */
  readonly isChanging: boolean;
  /** '' for the host's network, and for a pod that is attached to none. */
  readonly netnsPath: string;
  /** The CNI result, as recorded. */
  readonly cniResult: unknown;
}

export interface NetworkAuditInput {
  readonly pods: readonly AuditedPod[];
  /** As in CniPodNetworkOptions. */
  readonly stateDir: string;
  readonly confDir: string;
  readonly cacheDir: string;
  /** Where pins of ours stand: libcni's cache may hold other runtimes' attachments. */
  readonly netnsDir: string;
  /** Name of the nftables table. Default `berth`. */
  readonly firewallTable?: string;
}

interface Paid {
  /** Undefined for a damaged record. */
  readonly debt: Debt | undefined;
}

const idPattern = /^[0-9a-f]{64}$/;
const defaultDataDir = '/var/lib/cni/networks';

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // nothing was ever made there
  }
}

function readDebts(directory: string): Map<string, Paid> {
  const debts = new Map<string, Paid>();
  for (const name of list(directory)) {
    if (!name.endsWith('.json')) continue;
    let debt: Debt | undefined;
    try {
      debt = JSON.parse(readFileSync(`${directory}/${name}`, 'utf8')) as Debt;
    } catch {
      // damaged, or paid this instant
    }
    debts.set(name.slice(0, -'.json'.length), { debt });
  }
  return debts;
}

/** Throws Node's errors of folders that cannot be read. */
export async function auditNetwork(input: NetworkAuditInput): Promise<Finding[]> {
  const debts = readDebts(`${input.stateDir}/debts`);
  return [
    ...auditDebts(input, debts),
    ...auditCache(input, debts),
    ...auditAddresses(input, debts),
    ...auditLinks(input, debts),
    ...(await auditRules(input, debts)),
  ];
}

function auditDebts({ pods, stateDir }: NetworkAuditInput, debts: ReadonlyMap<string, Paid>): Finding[] {
  const known = new Set(pods.map(({ id }) => id));
  const leaks = [...debts.keys()]
    .filter((id) => !known.has(id))
    .map((id): Finding => {
      const mend = 'start berthd, which detaches it';
      return { kind: 'leak', what: 'network debt', id, path: `${stateDir}/debts/${id}.json`, mend };
    });
  const missing = pods
    .filter(({ id, isReady, netnsPath }) => isReady && netnsPath !== '' && !debts.has(id))
    .map(({ id }): Finding => {
      const mend = 'remove the pod; the kubelet makes another';
      return { kind: 'missing', what: 'network debt', id, path: `${stateDir}/debts/${id}.json`, mend };
    });
  return [...leaks, ...missing];
}

function auditCache({ cacheDir, netnsDir }: NetworkAuditInput, debts: ReadonlyMap<string, Paid>): Finding[] {
  return list(`${cacheDir}/results`).flatMap((name): Finding[] => {
    const id = /-([0-9a-f]{64})-[^-]+$/.exec(name)?.[1] ?? '';
    if (id === '' || debts.has(id)) return [];
    const path = `${cacheDir}/results/${name}`;
    try {
      const { netns } = JSON.parse(readFileSync(path, 'utf8')) as { netns?: string };
      if (!netns?.startsWith(`${netnsDir}/berth-`)) return [];
    } catch {
      return []; // not ours to judge, or gone
    }
    return [{ kind: 'leak', what: 'cached CNI result', id, path, mend: `rm ${path}` }];
  });
}

interface HostLocalRange {
  readonly network: string;
  readonly dataDir: string;
}

/** Where host-local keeps reservations of the networks in question: the one in use, ours, and those that debts name. */
function listHostLocal(input: NetworkAuditInput, debts: ReadonlyMap<string, Paid>): HostLocalRange[] {
  const ranges = new Map<string, HostLocalRange>();
  const add = (network: string, dataDir: string) => ranges.set(`${dataDir}/${network}`, { network, dataDir });
  add('berth', `${input.stateDir}/ipam`);
  const { chosen } = loadFolder(input.confDir);
  const texts = [...debts.values()].flatMap(({ debt }) => debt?.config ?? []);
  if (chosen) texts.push(chosen.list.text);
  for (const text of new Set(texts)) {
    try {
      const { name, plugins } = parseNetworkList(text, 'of an audit');
      for (const plugin of plugins) {
        const { ipam } = plugin.raw as { ipam?: { type?: string; dataDir?: string } };
        if (ipam?.type === 'host-local') add(name, ipam.dataDir ?? defaultDataDir);
      }
    } catch {
      // a debt with a damaged configuration: its addresses are not known
    }
  }
  return [...ranges.values()];
}

function auditAddresses(input: NetworkAuditInput, debts: ReadonlyMap<string, Paid>): Finding[] {
  const reserved = new Set<string>();
  const leaks = listHostLocal(input, debts).flatMap(({ network, dataDir }) =>
    list(`${dataDir}/${network}`).flatMap((name): Finding[] => {
      if (name === 'lock' || name.startsWith('last_reserved_ip')) return [];
      const path = `${dataDir}/${network}/${name}`;
      let owner = '';
      try {
        owner = readFileSync(path, 'utf8').split(/\r?\n/)[0]!.trim();
      } catch {
        return []; // given back this instant
      }
      reserved.add(owner);
      if (debts.has(owner) || !idPattern.test(owner)) return [];
      return [{ kind: 'leak', what: 'address', id: owner, path, mend: `rm ${path}` }];
    }),
  );
  const missing = input.pods.flatMap(({ id, isReady }): Finding[] => {
    const debt = debts.get(id)?.debt;
    if (!isReady || !debt || reserved.has(id) || !debt.config.includes('"host-local"')) return [];
    const mend = 'remove the pod: its address may be given to another';
    return [{ kind: 'missing', what: 'address', id, path: debt.networkName, mend }];
  });
  return [...leaks, ...missing];
}

interface Link {
  readonly name: string;
  readonly isBridge: boolean;
}

/** The host's ends of a pod's links, from its CNI result: interfaces without a sandbox. */
function hostLinks(cniResult: unknown): Link[] {
  const { interfaces } = (cniResult ?? {}) as { interfaces?: { name?: string; sandbox?: string }[] };
  return (interfaces ?? []).flatMap(({ name, sandbox }) => {
    if (typeof name !== 'string' || sandbox) return [];
    return [{ name, isBridge: list(`/sys/class/net/${name}`).includes('bridge') }];
  });
}

function bridgesOf(config: string): string[] {
  if (config === '') return [];
  try {
    return parseNetworkList(config, 'of an audit').plugins.flatMap(({ type, raw }) =>
      type === 'bridge' ? [typeof raw.bridge === 'string' ? raw.bridge : 'cni0'] : [],
    );
  } catch {
    return []; // a damaged configuration names no bridge
  }
}

/** Of the default network; '' and no prefixes if there is none. */
function readPlan(stateDir: string): { bridge: string; prefixes: string[] } {
  try {
    const plan = JSON.parse(readFileSync(`${stateDir}/default-network.json`, 'utf8'));
    return { bridge: plan.bridge, prefixes: [plan.ipv4, plan.ipv6] };
  } catch {
    return { bridge: '', prefixes: [] };
  }
}

function auditLinks(input: NetworkAuditInput, debts: ReadonlyMap<string, Paid>): Finding[] {
  const { pods, confDir } = input;
  const present = new Set(list('/sys/class/net'));
  const expected = new Set<string>();
  const bridges = new Set<string>();
  for (const { debt } of debts.values())
    if (debt) for (const bridge of bridgesOf(debt.config)) bridges.add(bridge);
  const { chosen } = loadFolder(confDir);
  for (const bridge of bridgesOf(chosen?.list.text ?? '')) bridges.add(bridge);
  // The default network's plan names its bridge for as long as there is one.
  const { bridge: ownBridge } = readPlan(input.stateDir);
  if (ownBridge !== '') bridges.add(ownBridge);
  const missing = pods.flatMap(({ id, isReady, cniResult }) =>
    hostLinks(cniResult).flatMap(({ name, isBridge }): Finding[] => {
      (isBridge ? bridges : expected).add(name);
      if (!isReady || present.has(name)) return [];
      const mend = 'remove the pod; the kubelet makes another';
      return [{ kind: 'missing', what: 'network link', id, path: name, mend }];
    }),
  );
  // The result of a pod that is being made is not recorded yet, and that of a damaged record cannot be read.
  const known = new Set(pods.filter(({ cniResult }) => cniResult).map(({ id }) => id));
  if (pods.some(({ isChanging }) => isChanging) || [...debts.keys()].some((id) => !known.has(id)))
    return missing;
  const leaks = [...bridges].flatMap((bridge) =>
    list(`/sys/class/net/${bridge}/brif`)
      .filter((port) => port.startsWith('veth') && !expected.has(port))
      .map((port): Finding => {
        const mend = `ip link delete ${port}`;
        return { kind: 'leak', what: 'network link', id: '', path: port, mend };
      }),
  );
  return [...missing, ...leaks];
}

/** Published ports carry the sandbox's id as a comment (firewall.ts). */
async function auditRules(input: NetworkAuditInput, debts: ReadonlyMap<string, Paid>): Promise<Finding[]> {
  const nft = new ProgramPaths(defaultPath.split(':')).find('nft');
  if (nft === undefined) return [];
  const table = input.firewallTable ?? 'berth';
  const result = await run({ path: nft, args: ['list', 'table', 'inet', table], timeoutMs: 10_000 });
  const text = succeeded(result.status) ? result.stdout.toString() : '';
  const ruled = new Set([...text.matchAll(/[0-9a-f]{64}/g)].map(([id]) => id));
  const masqueraded = [...text.matchAll(/ip6? saddr (\S+) ip6? daddr != [^\n]* masquerade/g)].map(
    ([, prefix]) => prefix!,
  );
  const path = `inet ${table}`;
  const leaks = [...ruled]
    .filter((id) => !debts.has(id))
    .map((id): Finding => {
      const mend = 'restart berthd, which writes the table anew';
      return { kind: 'leak', what: 'packet rule', id, path, mend };
    });
  const missing = input.pods.flatMap(({ id, isReady }): Finding[] => {
    const debt = debts.get(id)?.debt;
    if (!isReady || !debt) return [];
    const wantsPorts = debt.portPublisher === 'berth' && debt.hostPorts.length > 0;
    const prefixes = debt.native?.masquerade ?? [];
    const isMasqueraded =
      (!debt.isDefault || text.includes('pod_masquerade')) &&
      prefixes.every((prefix) => masqueraded.includes(prefix));
    const isRuled = (!wantsPorts || ruled.has(id)) && isMasqueraded;
    if (isRuled) return [];
    const mend = 'restart berthd, which writes the table anew';
    return [
      { kind: 'missing', what: 'packet rule', id, path: `${path} ${basename(debt.networkName)}`, mend },
    ];
  });
  const needed = listMasqueraded(input, debts);
  // Those that no record of this node's daemon names are another's, which shares the table.
  const recorded = parseRuled(readRecord(ruledPath(input.stateDir)));
  const idle = masqueraded.filter((prefix) => needed && !needed.has(prefix) && recorded.includes(prefix));
  const stray = idle.map((prefix): Finding => {
    const mend = 'restart berthd, which writes the table anew';
    return { kind: 'leak', what: 'packet rule', id: '', path: `${path} ${prefix}`, mend };
  });
  return [...leaks, ...stray, ...missing];
}

/** The prefixes that a masquerade rule may be for: of pods, and of the networks in use. Undefined where a debt cannot tell. */
function listMasqueraded(
  input: NetworkAuditInput,
  debts: ReadonlyMap<string, Paid>,
): Set<string> | undefined {
  const { chosen } = loadFolder(input.confDir);
  const plan = chosen && readPluginPlan(chosen.list, defaultNetworkOptions.bridge).plan;
  const prefixes = [...(plan?.masquerade.map(formatCidr) ?? []), ...readPlan(input.stateDir).prefixes];
  for (const { debt } of debts.values()) {
    if (!debt) return undefined;
    prefixes.push(...(debt.native?.masquerade ?? []));
  }
  return new Set(prefixes);
}
