/** What the RPCs are made of. Everything arrives by constructor from `daemon/wiring.ts`. */
import type { ImageService } from '#images/contract.ts';
import type { PodNetwork } from '#network/pod-network.ts';
import type { CheckpointManager } from '#runtime/checkpoint/contract.ts';
import type { ContainerManager, LifecycleListener, SandboxManager } from '#runtime/contract.ts';
import type { StatsProvider } from '#runtime/stats-contract.ts';
import type { StreamingServer } from './streaming/server.ts';

/** Announcements of the managers, in the order of the changes. */
export interface LifecycleSource {
  /** Returns what ends the subscription. */
  subscribe(listener: LifecycleListener): () => void;
}

export interface HandlerFacts {
  /** The name that a RuntimeClass uses. */
  readonly name: string;
  readonly isDefault: boolean;
  /** The OCI runtime takes the mount option `rro`, and the kernel has mount_setattr (5.12). */
  readonly hasRecursiveReadonlyMounts: boolean;
  /** The OCI runtime makes user namespaces and idmapped mounts. */
  readonly hasUserNamespaces: boolean;
}

/** What Status and RuntimeConfig say of this node and daemon. */
export interface RuntimeFacts {
  /** The version of Berth, semver. */
  readonly version: string;
  readonly cgroupDriver: 'cgroupfs' | 'systemd';
  readonly handlers: readonly HandlerFacts[];
  /** Whether a pod may have a user namespace and the node's network at once. */
  readonly hasHostNetworkUserNamespaces: boolean;
  /** Root of what a reboot may forget; the conformance suite looks for mounts there. */
  readonly stateDir: string;
  /** The effective configuration as plain data, for verbose status. */
  readonly configuration: unknown;
  /** Versions of the programs in use by name, for verbose status. */
  readonly programVersions: Readonly<Record<string, string>>;
  /** What is wrong in the folders of CDI specifications and of OCI hooks, for verbose status; none while all is well. */
  definitionProblems(): { readonly cdi: readonly string[]; readonly ociHooks: readonly string[] };
  /** undefined while everything works; else a CamelCase reason and a message for the condition RuntimeReady. */
  problem(): { readonly reason: string; readonly message: string } | undefined;
}

/** What mints the URLs that Exec, Attach and PortForward answer with. */
export type StreamingUrls = Pick<StreamingServer, 'execUrl' | 'attachUrl' | 'portForwardUrl'>;

export interface CriServices {
  readonly sandboxes: SandboxManager;
  readonly containers: ContainerManager;
  readonly images: ImageService;
  readonly network: PodNetwork;
  readonly lifecycle: LifecycleSource;
  readonly facts: RuntimeFacts;
  /** Absent ones make their RPCs answer Unimplemented. */
  readonly streaming: StreamingUrls | undefined;
  readonly stats: StatsProvider | undefined;
  readonly checkpoints: CheckpointManager | undefined;
}
