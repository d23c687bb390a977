/**
 * PodNetwork: over CNI plugins by the configuration of the node's folder, or natively: on Berth's default network where
 * there is none, and where built-in plugins are on for a configuration that they carry out (native/plugin-plan.ts).
 *
 * Order of an attach: collisions are refused, the debt is recorded, ADD runs (or the kernel is asked), the result is kept,
 * host ports are published. A detach runs it backwards as the debt says, with the configuration that ADD used. The caller
 * serialises calls for one sandbox; different sandboxes run side by side.
 *
 * It is long because the two ways share all rules about what is recorded, undone and restored when.
 */
import { mkdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, RuntimeError, throwIfAborted } from '#base/errors.ts';
import { KeyedLock } from '#base/keyed-lock.ts';
import type { Log } from '#base/log.ts';
import type { GracePeriods } from '#host/grace-periods.ts';
import { defaultPath } from '#host/launch.ts';
import { isNamespacePin } from '#host/mount.ts';
import { BuiltinPlugins } from './builtin-plugins.ts';
import { type Cidr, formatCidr, parseAddress, parseCidr } from './cidr.ts';
import { ResultCache } from './cni/cache.ts';
import { capabilityArgsOf, cniArgsOf, hasCapability } from './cni/capabilities.ts';
import { isCniName, type NetworkList, parseNetworkList } from './cni/config.ts';
import { ConfigFolder } from './cni/config-folder.ts';
import { isMissingPlugin } from './cni/errors.ts';
import { type Attachment, PluginRunner } from './cni/exec.ts';
import { addList, checkList, collectGarbageOfList, deleteList } from './cni/invoke.ts';
import {
  type IpPreference,
  listPodIps,
  normaliseResult,
  orderByPreference,
  type ResultIp,
} from './cni/result.ts';
import { type Debt, DebtBook, type NativeAttachment } from './debts.ts';
import {
  DefaultNetwork,
  type DefaultNetworkOptions,
  defaultNetworkOptions,
  type PreparedNetwork,
} from './default-network.ts';
import { Firewall } from './firewall.ts';
import { enableForwarding } from './forwarding.ts';
import { listPublished, makePublication, refuseCollisions } from './host-ports.ts';
import { findDeviceTowards, listHostRoutes } from './host-routes.ts';
import { BridgeNetwork } from './native/bridge-network.ts';
import { type BridgePlan, hostLinkName } from './native/changes.ts';
import type { PluginPlan } from './native/plugin-plan.ts';
import type { NetworkStatus, PodNetwork, PodNetworkRequest, PodNetworkResult } from './pod-network.ts';
import { ProgramPaths } from './program-path.ts';
import { Readiness } from './readiness.ts';

export interface CniPodNetworkOptions {
  /** Folder of CNI configurations, usually /etc/cni/net.d; it may be absent. */
  readonly confDir: string;
  /** Searched in order, usually /opt/cni/bin and /usr/lib/cni. */
  readonly pluginDirs: readonly string[];
  /** libcni's cache directory, usually /var/lib/cni. */
  readonly cacheDir: string;
  /** Debts, the default network's plan and its addresses; must outlive a reboot. */
  readonly stateDir: string;
  /** False: without a CNI configuration there is no pod network. */
  readonly defaultNetwork: DefaultNetworkOptions | false;
  /** Whether Berth does by itself what known plugins would do, where it knows all of a configuration. Default false. */
  readonly builtinPlugins?: boolean;
  readonly log: Log;
  /** Shortened while plugins detach a pod; undefined: they are as long as they are. */
  readonly gracePeriods?: Pick<GracePeriods, 'expedited'> | undefined;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Default ipv4. */
  readonly ipPreference?: IpPreference;
  /** What plugins inherit of the environment; by default PATH and GOMAXPROCS, see PluginRunner. */
  readonly pluginEnv?: Readonly<Record<string, string>>;
  /** Where `nft` and `conntrack` are searched; by default the usual folders. */
  readonly programDirs?: readonly string[];
  /** Name of the nftables table. Default `berth`. */
  readonly firewallTable?: string;
  /** How long the plugins of one attachment may take for CHECK. Default 10,000. */
  readonly checkTimeoutMs?: number;
}

const ifName = 'eth0';
const addTimeoutMs = 5 * 60_000;
const delTimeoutMs = 60_000;
const checkTimeoutMs = 10_000;

/** How long a pod waits for garbage to be collected, which then is given up: there is another time for that. */
const collectingPatienceMs = 2000;

interface Collecting {
  /** Resolves when no plugin is at work any more. */
  readonly ended: Promise<void>;
  readonly giveUp: () => void;
}

interface Selection {
  readonly list: NetworkList;
  /** How to attach natively; undefined if the plugins run. */
  readonly plan: BridgePlan | undefined;
  /** Of a CNI configuration that is carried out without its plugins. */
  readonly builtin: PluginPlan | undefined;
}

/** Where addresses may be that a debt of ours, or one that nobody can read, is about. */
function addressFoldersOf(
  { native, isDefault }: Debt,
  ofDefault: BridgePlan['addresses'],
  builtin: PluginPlan | undefined,
): BridgePlan['addresses'][] {
  if (native?.addressDir !== undefined) return [{ dir: native.addressDir, isShared: true }];
  return builtin && !isDefault ? [ofDefault, builtin.bridge.addresses] : [ofDefault];
}

function attachmentOf(debt: Debt, netnsPath: string): Attachment {
  const { sandboxId, args, capabilityArgs } = debt;
  return { containerId: sandboxId, netnsPath, ifName: debt.ifName, args, capabilityArgs };
}

function unrecordable(sandboxId: string, cause: unknown): RuntimeError {
  return new RuntimeError('Internal', `attaching sandbox ${sandboxId}: its record cannot be kept`, { cause });
}

export class CniPodNetwork implements PodNetwork {
  readonly #options: CniPodNetworkOptions;
  readonly #log: Log;
  readonly #runner: PluginRunner;
  readonly #folder: ConfigFolder;
  readonly #cache: ResultCache;
  readonly #debts: DebtBook;
  readonly #firewall: Firewall;
  readonly #builtin: BuiltinPlugins;
  readonly #bridges: BridgeNetwork;
  readonly #default: DefaultNetwork;
  readonly #readiness: Readiness;
  readonly #lock = new KeyedLock();
  #podCidrs: readonly Cidr[] = [];
  /** The default network once the host is ready for it. */
  #prepared: Promise<PreparedNetwork> | undefined;
  #defaultAttaching = 0;
  /** Its rules go although its plan is there; a pod that wants it again meanwhile waits until it is gone. */
  #isRetiring = false;
  /** A collection of garbage under way: an attachment that begins meanwhile is not among those it knows as valid. */
  #collecting: Collecting | undefined;

  /** Reads the debts of earlier runs. Throws Node's error if `stateDir` cannot be used. */
  constructor(options: CniPodNetworkOptions) {
    const { log, stateDir } = options;
    this.#options = options;
    this.#log = log;
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    const programs = new ProgramPaths(options.programDirs ?? defaultPath.split(':'));
    this.#runner = new PluginRunner(options.pluginDirs, options.pluginEnv);
    this.#folder = new ConfigFolder(options.confDir, log, () => this.#onConfigChange());
    this.#cache = new ResultCache(options.cacheDir);
    this.#debts = new DebtBook(`${stateDir}/debts`, log);
    this.#firewall = new Firewall({ programs, log, table: options.firewallTable ?? 'berth' });
    const chosen = options.defaultNetwork || defaultNetworkOptions;
    this.#bridges = new BridgeNetwork(log);
    this.#default = new DefaultNetwork(chosen, stateDir, this.#bridges, log);
    const isEnabled = options.builtinPlugins ?? false;
    this.#builtin = new BuiltinPlugins({ isEnabled, stateDir, usedBridge: chosen.bridge, log });
    this.#readiness = new Readiness({
      confDir: options.confDir,
      hasDefaultNetwork: options.defaultNetwork !== false,
      runner: this.#runner,
      firewall: this.#firewall,
      builtin: this.#builtin,
      now: options.now,
    });
  }

  async start(): Promise<void> {
    this.#folder.start();
    const isPublished = this.#restorePublications();
    if (isPublished || this.#default.isPlanned || this.#builtin.hasRules) {
      try {
        await this.#masquerade(true);
      } catch (error) {
        this.#log.error({ err: error }, `packet rules of running pods are not in place: ${messageOf(error)}`);
      }
    }
    // Of whichever network they were: built-in plugins may have been on until now.
    this.#bridges.removeCut();
    const addresses = this.#bridges.bookOf(this.#default.addresses);
    addresses.releaseOrphans(
      (sandboxId) =>
        this.#debts.has(sandboxId) || this.#cache.findByContainer(sandboxId, ifName) !== undefined,
    );
    await this.#retireIfIdle();
  }

  stop(): void {
    this.#folder.stop();
    this.#bridges.stop();
  }

  listDebts(): string[] {
    return this.#debts.listIds();
  }

  async attach(request: PodNetworkRequest, signal?: AbortSignal): Promise<PodNetworkResult> {
    const { sandboxId } = request;
    throwIfAborted(signal, `attaching sandbox ${sandboxId}`);
    if (!isCniName(sandboxId)) {
      throw new RuntimeError(
        'InvalidArgument',
        `attaching sandbox ${JSON.stringify(sandboxId)}: not a CNI container id`,
      );
    }
    const published = listPublished(request.portMappings);
    refuseCollisions(sandboxId, published, this.#debts.list());
    if (this.#debts.has(sandboxId)) await this.#pay(this.#debtOf(sandboxId)!, request.netnsPath, undefined);
    const { list, plan, builtin } = await this.#select();
    try {
      refuseCollisions(sandboxId, published, this.#debts.list());
      const debt: Debt = {
        sandboxId,
        networkName: list.name,
        isDefault: plan !== undefined && !builtin,
        config: list.text,
        ifName,
        netnsPath: request.netnsPath,
        args: cniArgsOf(request),
        capabilityArgs: capabilityArgsOf(request, list, this.#podCidrs.map(formatCidr)),
        hostPorts: published,
        portPublisher: !builtin && hasCapability(list, 'portMappings') ? 'plugin' : 'berth',
        createdAtMs: this.#options.now(),
      };
      if (debt.portPublisher === 'berth' && published.length > 0) this.#firewall.requireProgram();
      if (builtin) return await this.#connectAsPlugins(debt, builtin, signal);
      return await (plan ? this.#connectNatively(debt, plan, signal) : this.#connect(debt, list, signal));
    } finally {
      if (plan && !builtin) this.#defaultAttaching -= 1;
    }
  }

  async detach(sandboxId: string, netnsPath: string, signal?: AbortSignal): Promise<void> {
    const debt = this.#debtOf(sandboxId);
    if (!debt) return;
    const netns = netnsPath === '' ? debt.netnsPath : netnsPath;
    await this.#pay(debt, isNamespacePin(netns) ? netns : '', signal);
  }

  /** Asks the plugins whether an attached sandbox's network is as ADD left it (CNI SPEC, CHECK); see PodNetwork. */
  async check(sandboxId: string, signal?: AbortSignal): Promise<boolean> {
    const debt = this.#debts.find(sandboxId);
    if (!debt)
      throw new RuntimeError('NotFound', `checking the network of sandbox ${sandboxId}: it is not attached`);
    if (debt.native) {
      const addresses = this.#readIps(debt, this.#resultOf(debt)).map(({ address }) => address);
      this.#bridges.check(sandboxId, debt.native.hostLink, debt.netnsPath, addresses);
      return true;
    }
    const cached = this.#cache.find(debt.networkName, sandboxId, debt.ifName);
    const list = parseNetworkList(debt.config, `of sandbox ${sandboxId}`);
    const limits = { timeoutMs: this.#options.checkTimeoutMs ?? checkTimeoutMs, signal };
    return checkList(this.#runner, list, attachmentOf(debt, debt.netnsPath), cached?.result, limits);
  }

  async collectGarbage(signal?: AbortSignal): Promise<void> {
    const list = this.#folder.content.chosen?.list;
    // Versions that are carried out without plugins know no garbage collection; what their pods have, debts tell.
    if (!list || this.#builtin.read(list).plan) return;
    // Attachments in libcni's cache are valid too: another tool may use the same network.
    const cached = this.#cache.listByNetwork(list.name);
    const valid = [
      ...cached
        .filter((entry) => entry.ifName !== ifName || !this.#debts.has(entry.containerId))
        .map((entry) => ({ containerID: entry.containerId, ifname: entry.ifName })),
      ...this.#debts.listIds().map((sandboxId) => ({ containerID: sandboxId, ifname: ifName })),
    ];
    const given = new AbortController();
    const limits = {
      timeoutMs: delTimeoutMs,
      signal: signal ? AbortSignal.any([signal, given.signal]) : given.signal,
    };
    const work = collectGarbageOfList(this.#runner, list, valid, limits);
    const collecting: Collecting = {
      ended: work
        .catch(() => {}) // the caller is told; those who wait for it only want its end
        .then(() => {
          if (this.#collecting === collecting) this.#collecting = undefined;
        }),
      giveUp: () =>
        given.abort(
          new RuntimeError(
            'Canceled',
            `CNI plugins of network ${list.name} GC: no end within ${collectingPatienceMs} ms after a pod was to be attached; the next start asks them again`,
          ),
        ),
    };
    this.#collecting = collecting;
    await work;
  }

  /** Waits until no plugin collects garbage; those that take long are stopped. */
  async #outwaitCollecting(): Promise<void> {
    while (this.#collecting) {
      const { ended, giveUp } = this.#collecting;
      const patience = new AbortController();
      const isOver = await Promise.race([
        ended.then(() => true),
        delay(collectingPatienceMs, false, { signal: patience.signal }).catch(() => true),
      ]);
      patience.abort();
      if (!isOver) giveUp();
      await ended;
    }
  }

  status(): Promise<NetworkStatus> {
    return this.#readiness.get(this.#folder.content);
  }

  describe(): { configuration: unknown; lastLoadError: string } {
    const { chosen, lastError } = this.#folder.content;
    const text = chosen?.list.text;
    return {
      configuration: {
        confDir: this.#options.confDir,
        pluginDirs: this.#runner.dirs,
        path: chosen?.path ?? '',
        network: text === undefined ? undefined : JSON.parse(text),
        isDefaultNetwork: this.#isDefaultActive(),
        defaultNetworkPrefixes: this.#default.prefixes.map(formatCidr),
        ...(chosen && { builtinPlugins: this.#describeBuiltin(chosen.list) }),
      },
      lastLoadError: lastError,
    };
  }

  #describeBuiltin(list: NetworkList): { isUsed: boolean; reason: string } {
    const { plan, reason } = this.#builtin.read(list);
    return { isUsed: plan !== undefined, reason };
  }

  setPodCidr(cidr: string): void {
    const cidrs = cidr.split(',').flatMap((part) => parseCidr(part.trim()) ?? []);
    if (cidrs.length === 0) return;
    this.#podCidrs = cidrs;
    this.#default.setPodCidrs(cidrs);
    this.#prepared = undefined;
  }

  #isDefaultActive(): boolean {
    const { chosen, hasCandidates } = this.#folder.content;
    return this.#options.defaultNetwork !== false && !chosen && !hasCandidates;
  }

  #hasDefaultDebts(): boolean {
    return this.#debts.list().some((debt) => debt.isDefault);
  }

  /** The network for a new pod. For the default network the caller lowers `#defaultAttaching` when its attach has ended. */
  async #select(): Promise<Selection> {
    const { chosen, lastError } = this.#folder.content;
    if (chosen) {
      const { plan: builtin } = this.#builtin.read(chosen.list);
      return { list: chosen.list, plan: builtin?.bridge, builtin };
    }
    const { confDir } = this.#options;
    if (!this.#isDefaultActive()) {
      const problem = lastError === '' ? `no CNI configuration in ${confDir}` : lastError;
      throw new RuntimeError('Unavailable', `attaching a pod: ${problem}`);
    }
    this.#defaultAttaching += 1;
    try {
      for (;;) {
        this.#prepared ??= this.#prepareDefault();
        const prepared = this.#prepared;
        const ready = await prepared;
        // Changed meanwhile (pod prefix, retirement): what was awaited no longer holds.
        if (prepared === this.#prepared) return { ...ready, builtin: undefined };
      }
    } catch (error) {
      this.#prepared = undefined;
      this.#defaultAttaching -= 1;
      throw error;
    }
  }

  #prepareDefault(): Promise<PreparedNetwork> {
    return this.#lock.run('default', async () => {
      const prepared = await this.#default.ensure(this.#hasDefaultDebts());
      await this.#masquerade();
      return prepared;
    });
  }

  #onConfigChange(): void {
    this.#retireIfIdle().catch((error: unknown) =>
      this.#log.warn({ err: error }, `taking down the default network: ${messageOf(error)}`),
    );
    if (this.#builtin.hasRules) this.#dropMasquerade();
  }

  /** Has the packet rules say what is to be masqueraded now, for the default network and for CNI networks. */
  #masquerade(force = false): Promise<void> {
    return this.#lock.run('masquerade', () => {
      const list = this.#folder.content.chosen?.list;
      const wanted = this.#builtin.wantedFor(this.#debts.list(), list && this.#builtin.read(list).plan);
      const isDefaultUsed = this.#isDefaultActive() || this.#hasDefaultDebts() || this.#defaultAttaching > 0;
      const ofDefault = isDefaultUsed && !this.#isRetiring ? this.#default.prefixes : [];
      return this.#builtin.apply(this.#firewall, { wanted, ofDefault }, force);
    });
  }

  /** Takes back rules that nobody needs any more: a rule that stays does no harm, and goes with the next one. */
  async #dropMasquerade(): Promise<void> {
    try {
      await this.#masquerade();
    } catch (error) {
      this.#log.warn({ err: error }, `a masquerade rule that nobody needs stays: ${messageOf(error)}`);
    }
  }

  /** Takes the default network down once it has given way and its last pod is gone. */
  async #retireIfIdle(): Promise<void> {
    if (!this.#default.isPlanned || this.#isDefaultActive()) return;
    await this.#lock.run('default', async () => {
      if (this.#isDefaultActive() || this.#defaultAttaching > 0 || this.#hasDefaultDebts()) return;
      this.#prepared = undefined;
      this.#isRetiring = true;
      try {
        if (!(await this.#default.retire(() => this.#masquerade()))) return;
      } finally {
        this.#isRetiring = false;
      }
      this.#log.info('the default network gave way to a CNI configuration');
    });
  }

  async #connect(debt: Debt, list: NetworkList, signal: AbortSignal | undefined): Promise<PodNetworkResult> {
    const { sandboxId } = debt;
    await this.#outwaitCollecting();
    const durable = this.#debts.record(debt);
    const attachment = attachmentOf(debt, debt.netnsPath);
    const [recorded, added] = await Promise.allSettled([
      durable,
      addList(this.#runner, list, attachment, { timeoutMs: addTimeoutMs, signal }),
    ]);
    try {
      if (added.status === 'rejected') throw added.reason;
      if (recorded.status === 'rejected') throw unrecordable(sandboxId, recorded.reason);
      this.#cache.write({ ...attachment, networkName: list.name, config: list.text, result: added.value });
      return await this.#finish(debt, added.value, signal);
    } catch (error) {
      await this.#undo(debt);
      throw error;
    }
  }

  async #connectNatively(
    attached: Debt,
    plan: BridgePlan,
    signal: AbortSignal | undefined,
  ): Promise<PodNetworkResult> {
    const { sandboxId, netnsPath } = attached;
    const connection = await this.#bridges.prepare(sandboxId, netnsPath, ifName, plan);
    const { result, link } = connection;
    const debt: Debt = { ...attached, native: { hostLink: link.hostName, result } };
    try {
      await this.#debts.record(debt);
      await this.#bridges.connect(connection);
      return await this.#finish(debt, result, signal);
    } catch (error) {
      await this.#undo(debt);
      throw error;
    }
  }

  /**
   * What the plugins of a CNI configuration would do. Others reserve addresses in the same folder, so that nothing would tell
   * later that a reservation is ours: the debt comes first, as durable as where plugins run.
   */
  async #connectAsPlugins(
    attached: Debt,
    { bridge: plan, masquerade }: PluginPlan,
    signal: AbortSignal | undefined,
  ): Promise<PodNetworkResult> {
    const { sandboxId, networkName, config, netnsPath } = attached;
    const native: NativeAttachment = {
      hostLink: hostLinkName(sandboxId),
      addressDir: plan.addresses.dir,
      masquerade: masquerade.map(formatCidr),
    };
    const debt: Debt = { ...attached, native };
    const durable = this.#debts.record(debt);
    durable.catch(() => {}); // told below
    try {
      if (plan.isGateway) enableForwarding(plan.subnets.map(({ prefix }) => prefix.family));
      if (masquerade.length > 0) await this.#masquerade();
      const connection = await this.#bridges.prepare(sandboxId, netnsPath, ifName, plan);
      throwIfAborted(signal, `attaching sandbox ${sandboxId}`);
      const { result } = connection;
      this.#cache.write({ ...attachmentOf(debt, netnsPath), networkName, config, result });
      await this.#bridges.connect(connection);
      await durable.catch((cause: unknown) => {
        throw unrecordable(sandboxId, cause);
      });
      return await this.#finish(debt, result, signal);
    } catch (error) {
      await this.#undo(debt);
      throw error;
    }
  }

  /** What is left to do once the pod has its addresses. */
  async #finish(debt: Debt, result: unknown, signal: AbortSignal | undefined): Promise<PodNetworkResult> {
    const ips = this.#readIps(debt, result);
    await this.#publish(debt, ips);
    throwIfAborted(signal, `attaching sandbox ${debt.sandboxId}`);
    return { ips: ips.map((ip) => ip.address), raw: result };
  }

  /** After a failed attach: with a fresh deadline, and the debt stays if it fails. */
  async #undo(debt: Debt): Promise<void> {
    try {
      await this.#pay(debt, isNamespacePin(debt.netnsPath) ? debt.netnsPath : '', undefined);
    } catch (error) {
      const { sandboxId } = debt;
      this.#log.warn(
        { sandboxId, err: error },
        `undoing a failed attach: ${messageOf(error)}; it stays to be detached`,
      );
    }
  }

  #readIps(debt: Debt, raw: unknown): ResultIp[] {
    const ips = listPodIps(normaliseResult(raw), debt.ifName);
    if (ips.length === 0) {
      throw new RuntimeError(
        'Internal',
        `attaching sandbox ${debt.sandboxId}: CNI network ${debt.networkName} gave no address for ${debt.ifName}`,
      );
    }
    return orderByPreference(ips, this.#options.ipPreference ?? 'ipv4');
  }

  #publicationOf(debt: Debt, ips: readonly ResultIp[]) {
    const ipv4 = parseAddress(ips.find((ip) => ip.family === 4)?.address ?? '');
    const device = ipv4 && findDeviceTowards(ipv4, listHostRoutes());
    return makePublication(debt.sandboxId, debt.hostPorts, ips, device ?? '');
  }

  async #publish(debt: Debt, ips: readonly ResultIp[]): Promise<void> {
    if (debt.portPublisher !== 'berth' || debt.hostPorts.length === 0) return;
    const publication = this.#publicationOf(debt, ips);
    this.#firewall.publish(publication);
    await this.#firewall.apply();
    await this.#firewall.forgetUdpFlows(publication);
  }

  /** Makes the firewall know what is published for pods that live; true if anything ever was, so that stale rules go. */
  #restorePublications(): boolean {
    const publishers = this.#debts
      .list()
      .filter((debt) => debt.portPublisher === 'berth' && debt.hostPorts.length > 0);
    for (const debt of publishers) {
      const result = this.#resultOf(debt);
      if (result === undefined || !isNamespacePin(debt.netnsPath)) continue;
      try {
        this.#firewall.publish(this.#publicationOf(debt, this.#readIps(debt, result)));
      } catch (error) {
        const { sandboxId } = debt;
        this.#log.warn({ sandboxId }, `host ports are not restored: ${messageOf(error)}`);
      }
    }
    return publishers.length > 0;
  }

  /** The result of the attach, as far as it is known. */
  #resultOf({ native, networkName, sandboxId, ifName }: Debt): unknown {
    return native?.result ?? this.#cache.find(networkName, sandboxId, ifName)?.result;
  }

  /** The host's ends of the links of a pod that was attached natively. */
  #hostLinksOf(debt: Debt): string[] {
    const own = debt.native?.hostLink ?? hostLinkName(debt.sandboxId);
    const result = this.#resultOf(debt);
    if (result === undefined) return [own];
    // The bridge plugin gives its links names of its own.
    const { interfaces } = normaliseResult(result);
    const others = interfaces.filter(({ name, sandbox }) => sandbox === '' && name.startsWith('veth'));
    return [...new Set([own, ...others.map(({ name }) => name)])];
  }

  /** What a sandbox owes: its record; else what libcni's cache says; else, for a damaged record, the present configuration. */
  #debtOf(sandboxId: string): Debt | undefined {
    const known = this.#debts.find(sandboxId);
    if (known) return known;
    const cached = this.#cache.findByContainer(sandboxId, ifName);
    const list = this.#folder.content.chosen?.list;
    if (!cached && !this.#debts.has(sandboxId)) return undefined;
    // A damaged record without a cache entry may be of the default network: it is paid as if it were of both.
    return {
      sandboxId,
      networkName: cached?.networkName ?? list?.name ?? '',
      isDefault: false,
      config: cached?.config ?? list?.text ?? '',
      ifName,
      netnsPath: cached?.netnsPath ?? '',
      args: cached?.args ?? [],
      capabilityArgs: cached?.capabilityArgs ?? {},
      hostPorts: [],
      portPublisher: 'berth',
      createdAtMs: 0,
    };
  }

  async #pay(debt: Debt, netnsPath: string, signal: AbortSignal | undefined): Promise<void> {
    const { sandboxId, networkName } = debt;
    this.#firewall.withdraw(sandboxId);
    if (debt.portPublisher === 'berth' && debt.hostPorts.length > 0) await this.#firewall.apply();
    // Reservations and links of ours are told by the sandbox's id, whoever made them.
    const isUnknown = !this.#debts.find(sandboxId);
    const isOurs = debt.native !== undefined || debt.isDefault;
    const hasPlugins = !isOurs && debt.config !== '';
    const list = hasPlugins ? parseNetworkList(debt.config, `of sandbox ${sandboxId}`) : undefined;
    const builtin = isUnknown && list ? this.#builtin.read(list).plan : undefined;
    if (isOurs || isUnknown) {
      const folders = addressFoldersOf(debt, this.#default.addresses, builtin);
      await this.#bridges.disconnect(sandboxId, this.#hostLinksOf(debt), folders);
    }
    if (list) {
      const attachment = attachmentOf(debt, netnsPath);
      const limits = { timeoutMs: delTimeoutMs, signal };
      const detach = () => deleteList(this.#runner, list, attachment, this.#resultOf(debt), limits);
      const { gracePeriods } = this.#options;
      try {
        await (gracePeriods ? gracePeriods.expedited(detach) : detach());
      } catch (error) {
        // Where no plugin is installed, none has attached the pod.
        if (!builtin || !isMissingPlugin(error)) throw error;
      }
    }
    this.#cache.remove(networkName, sandboxId, debt.ifName);
    this.#debts.forget(sandboxId);
    if (this.#builtin.hasRules && (isUnknown || debt.native?.masquerade)) await this.#dropMasquerade();
    if (!debt.isDefault || this.#hasDefaultDebts()) return;
    // Nothing holds the prefixes any more: the next pod takes them as they should be by then.
    this.#prepared = undefined;
    try {
      await this.#retireIfIdle();
    } catch (error) {
      this.#log.warn({ err: error }, `taking down the default network: ${messageOf(error)}`);
    }
  }
}
