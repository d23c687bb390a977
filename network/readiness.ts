/** Whether a pod could be attached now, and if not, what to do about it: the CRI's NetworkReady condition. */
import { messageOf } from '#base/errors.ts';
import type { BuiltinPlugins } from './builtin-plugins.ts';
import type { NetworkList } from './cni/config.ts';
import type { FolderContent } from './cni/config-folder.ts';
import type { PluginRunner } from './cni/exec.ts';
import { statusOfList } from './cni/invoke.ts';
import type { Firewall } from './firewall.ts';
import type { NetworkStatus } from './pod-network.ts';

/** The reason that other runtimes give and that tools look for. */
const notReady = 'NetworkPluginNotReady';
const ready: NetworkStatus = { isReady: true, reason: '', message: '' };
const needsNft = 'needs the program nft; install the package nftables';
/** A kubelet that hears nothing of Status for half a minute takes the whole node for broken. */
const askTimeoutMs = 5_000;
/** The kubelet asks every few seconds; plugins are asked at most this often. */
const reuseMs = 5_000;

function failed(message: string): NetworkStatus {
  return { isReady: false, reason: notReady, message };
}

export interface ReadinessOptions {
  readonly confDir: string;
  /** Whether the default network serves where no configuration exists. */
  readonly hasDefaultNetwork: boolean;
  readonly runner: PluginRunner;
  readonly firewall: Firewall;
  readonly builtin: BuiltinPlugins;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export class Readiness {
  readonly #options: ReadinessOptions;
  #asked: { atMs: number; list: NetworkList; status: Promise<NetworkStatus> } | undefined;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  /** The status with this content of the configuration folder. Never rejects. */
  async get({ chosen, hasCandidates, lastError }: FolderContent): Promise<NetworkStatus> {
    const { confDir, hasDefaultNetwork, firewall, builtin } = this.#options;
    if (chosen) {
      const { plan } = builtin.read(chosen.list);
      if (plan) {
        const needsRules = plan.publishesPorts || plan.masquerade.length > 0;
        return !needsRules || firewall.isAvailable
          ? ready
          : failed(`the network ${chosen.list.name} ${needsNft}`);
      }
      const missing = this.#findMissing(chosen.list.plugins.map(({ type }) => type));
      return missing ?? this.#askPlugins(chosen.list);
    }
    if (hasCandidates) return failed(`no valid CNI configuration in ${confDir}: ${lastError}`);
    if (!hasDefaultNetwork) return failed(`no CNI configuration in ${confDir}`);
    if (!firewall.isAvailable) {
      return failed(`the default network ${needsNft}`);
    }
    return ready;
  }

  #findMissing(types: readonly string[]): NetworkStatus | undefined {
    const { runner } = this.#options;
    const type = types.find((candidate) => runner.find(candidate) === undefined);
    if (type === undefined) return undefined;
    const dirs = runner.dirs.join(':');
    return failed(`CNI plugin ${type} is not in ${dirs}; install the package containernetworking-plugins`);
  }

  #askPlugins(list: NetworkList): Promise<NetworkStatus> {
    const { runner, now } = this.#options;
    const nowMs = now();
    if (this.#asked?.list === list && nowMs - this.#asked.atMs < reuseMs) return this.#asked.status;
    const status = statusOfList(runner, list, { timeoutMs: askTimeoutMs, signal: undefined }).then(
      () => ready,
      (error: unknown) => failed(messageOf(error)),
    );
    this.#asked = { atMs: nowMs, list, status };
    return status;
  }
}
