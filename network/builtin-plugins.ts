/**
 * What Berth does itself where the node's configuration names the reference plugins, if it is told to: which configurations
 * those are, and for which prefixes there is a masquerade rule. A rule stays while pods need it, and while the configuration in
 * use wants it. The record of the rules is written before them and goes after them: then the next start knows what may be there.
 */
import type { Log } from '#base/log.ts';
import { type Cidr, formatCidr, parseCidr } from './cidr.ts';
import type { NetworkList } from './cni/config.ts';
import type { Debt } from './debts.ts';
import type { Firewall } from './firewall.ts';
import { type PluginPlan, type PluginReading, readPluginPlan } from './native/plugin-plan.ts';
import { readRecord, removeRecord, writeRecord } from './record-file.ts';

export interface BuiltinPluginsOptions {
  readonly isEnabled: boolean;
  /** Keeps the record of rules. */
  readonly stateDir: string;
  /** The default network's, which no configuration may have. */
  readonly usedBridge: string;
  readonly log: Log;
}

const switchedOff: PluginReading = { plan: undefined, reason: 'network.builtin_plugins is off' };

/** The prefixes that a record of rules names; damaged texts are left out. */
export function parseRuled(text: string | undefined): string[] {
  try {
    const prefixes: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(prefixes) ? prefixes.filter((prefix) => typeof prefix === 'string') : [];
  } catch {
    return []; // cut off by a power loss, after which there are no rules
  }
}

/** Where the record of rules is, in the folder of the network's state. */
export const ruledPath = (stateDir: string): string => `${stateDir}/builtin-masquerade.json`;

export class BuiltinPlugins {
  readonly #options: BuiltinPluginsOptions;
  /** Every list of the process; the object of a plan is the same as long as its list is. */
  readonly #readings = new WeakMap<NetworkList, PluginReading>();
  #lastLogged = '';
  /** Prefixes that may have a rule, as recorded. */
  #ruled: readonly string[];

  /** Throws Node's error if the record cannot be read. */
  constructor(options: BuiltinPluginsOptions) {
    this.#options = options;
    this.#ruled = parseRuled(readRecord(ruledPath(options.stateDir)));
  }

  /** What Berth makes of a configuration: a plan, or why its plugins run. The reason is logged once per configuration. */
  read(list: NetworkList): PluginReading {
    const { isEnabled, usedBridge, log } = this.#options;
    if (!isEnabled) return switchedOff;
    const known = this.#readings.get(list);
    if (known) return known;
    const reading = readPluginPlan(list, usedBridge);
    this.#readings.set(list, reading);
    if (list.text !== this.#lastLogged) {
      const { name: network } = list;
      if (reading.plan) log.info({ network }, 'the CNI configuration is carried out without its plugins');
      else log.info({ network }, `the CNI plugins run, although built-in ones are on: ${reading.reason}`);
    }
    this.#lastLogged = list.text;
    return reading;
  }

  /** Whether rules may be there. */
  get hasRules(): boolean {
    return this.#ruled.length > 0;
  }

  /** The prefixes to masquerade for these pods, and for the configuration in use those that have a rule already. */
  wantedFor(debts: readonly Debt[], inUse: PluginPlan | undefined): Cidr[] {
    const ofPods = debts.flatMap(({ native }) => native?.masquerade ?? []);
    const kept = (inUse?.masquerade ?? []).map(formatCidr).filter((prefix) => this.#ruled.includes(prefix));
    return [...new Set([...ofPods, ...kept])].flatMap((prefix) => parseCidr(prefix) ?? []);
  }

  /**
   * Has the firewall say these prefixes beside the default network's. Throws as Firewall.apply, Node's error. The caller lets
   * nobody else in meanwhile.
   */
  async apply(
    firewall: Firewall,
    prefixes: { readonly wanted: readonly Cidr[]; readonly ofDefault: readonly Cidr[] },
    force: boolean,
  ): Promise<void> {
    const wanted = prefixes.wanted.map(formatCidr);
    if (!wanted.every((prefix) => this.#ruled.includes(prefix)))
      this.#record([...new Set([...this.#ruled, ...wanted])]);
    const all = [...prefixes.ofDefault, ...prefixes.wanted];
    firewall.setMasquerade(all);
    // A pod that needs no other rule does not wait for the ports of another one to be published.
    if (force || !firewall.masqueradesOnly(all)) await firewall.apply(force);
    if (wanted.length < this.#ruled.length) this.#record(wanted);
  }

  #record(prefixes: readonly string[]): void {
    const path = ruledPath(this.#options.stateDir);
    if (prefixes.length === 0) removeRecord(path);
    else writeRecord(path, JSON.stringify(prefixes), 0o600);
    this.#ruled = prefixes;
  }
}
