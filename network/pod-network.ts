/**
 * The network of a pod: attach a network namespace, detach it, and whether attaching can work now.
 *
 * Every attach leaves a debt that only a successful detach pays: an address, a veth, rules. The debt is recorded before
 * attach begins, and detach may be repeated at any time, also when the namespace is gone (CNI SPEC, section DEL).
 */

export type PortProtocol = 'tcp' | 'udp' | 'sctp';

export interface PortMapping {
  readonly protocol: PortProtocol;
  readonly containerPort: number;
  /** 0 means: not published. */
  readonly hostPort: number;
  /** '' means every address of the host. */
  readonly hostIp: string;
}

export interface PodNetworkRequest {
  readonly sandboxId: string;
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly cgroupParent: string;
  readonly portMappings: readonly PortMapping[];
  readonly dns:
    | {
        readonly servers: readonly string[];
        readonly searches: readonly string[];
        readonly options: readonly string[];
      }
    | undefined;
  /** The pinned network namespace. */
  readonly netnsPath: string;
}

export interface PodNetworkResult {
  /** Addresses without mask, the primary one first; at least one. */
  readonly ips: readonly string[];
  /** The CNI result of the last plugin, for verbose status. */
  readonly raw: unknown;
}

export interface NetworkStatus {
  readonly isReady: boolean;
  /** CamelCase reason for the CRI condition; '' when ready. */
  readonly reason: string;
  readonly message: string;
}

export interface PodNetwork {
  /**
   * Connects the pod. On failure everything that was done is undone before the error is thrown; what could not be undone
   * stays a debt. A sandbox that owes a detach is detached first. Cancelling stops the plugin at work and undoes.
   * Throws Unavailable (no configuration, plugin says try again), Internal (plugin failed), FailedPrecondition (plugin or
   * program missing, configuration refused by the plugin, host port held by another sandbox), InvalidArgument (bandwidth
   * annotations, ports), ResourceExhausted (no address left), Canceled, DeadlineExceeded.
   */
  attach(request: PodNetworkRequest, signal?: AbortSignal): Promise<PodNetworkResult>;
  /**
   * Pays what attach owes; idempotent, also for a sandbox never attached. `netnsPath` may be gone, or ''. The caller
   * removes the namespace next: the pod's end of the link may stay until then.
   * Throws as attach if a plugin fails: call it again later.
   */
  detach(sandboxId: string, netnsPath: string, signal?: AbortSignal): Promise<void>;
  /** Sandbox ids that owe a detach. */
  listDebts(): string[];
  /**
   * Whether an attached sandbox's network is as attach left it: true if the plugins say so, false if they cannot be asked.
   * Throws NotFound if it is not attached, the plugin's error if something is amiss.
   */
  check(sandboxId: string, signal?: AbortSignal): Promise<boolean>;
  /** Lets plugins drop what belongs to no known attachment, where they can. Call it once recovery has paid its debts. */
  collectGarbage(signal?: AbortSignal): Promise<void>;
  status(): Promise<NetworkStatus>;
  /** Watches the configuration folder; resolves once the first load is done. */
  start(): Promise<void>;
  /** Ends watches. Attached pods stay. */
  stop(): void;
  /** For verbose status: the loaded configuration and the last load error. */
  describe(): { configuration: unknown; lastLoadError: string };
  /**
   * Accepts the pod CIDR of UpdateRuntimeConfig (one, or one of each family with a comma between): for plugins that ask for
   * `ipRanges`, and for the default network once it has no pods. '' changes nothing.
   */
  setPodCidr(cidr: string): void;
}
