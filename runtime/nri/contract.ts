/**
 * NRI: plugins that watch and change pods and containers (github.com/containerd/nri, package nri.pkg.api.v1alpha1).
 *
 *   service.ts    what the managers call, and the socket; all that is loaded while there is no plugin
 *   plugin-set.ts the plugins in order: events to them, their answers gathered and carried out
 *   plugin.ts     one plugin: registration, configuration, synchronization, requests
 *   connection.ts, wire.ts    its socket
 *   adjustments.ts, updates.ts, owners.ts, marks.ts    what plugins want, and who wants what
 *   describe.ts, apply.ts, resources.ts    between records and OCI specs, and messages
 *
 * A plugin hears of a container from its creation on or finds it in its first synchronization, never both and never
 * half: it synchronizes and joins while no request is between an event and the record of its outcome (gate.ts).
 */
import type { Log } from '#base/log.ts';
import type { ContainerId } from '../container/config.ts';
import type { ContainerRecord } from '../container/record.ts';
import type { Limits } from '../lifecycle-hooks.ts';
import type { SandboxId } from '../sandbox/config.ts';
import type { SandboxRecord } from '../sandbox/record.ts';
import type { HostFacts } from '../spec/inputs.ts';
import type { OciSpec } from '../spec/oci-spec.ts';

/** What NRI needs to know and to have done. */
export interface NriHost {
  readonly facts: HostFacts;
  listSandboxes(): readonly SandboxRecord[];
  listContainers(): readonly ContainerRecord[];
  findSandbox(id: SandboxId): SandboxRecord | undefined;
  findContainer(id: string): ContainerRecord | undefined;
  /** The spec that a container was made of; undefined when it is gone. */
  readSpec(id: ContainerId): Promise<OciSpec | undefined>;
  /** Changes limits of a container, without waiting for the request that a plugin is just being asked about. */
  adjustResources(id: ContainerId, limits: Limits): Promise<void>;
  /** Stops a container because a plugin wants it gone. */
  evictContainer(id: ContainerId): Promise<void>;
  /** The spec with CDI devices. Throws for names that no specification has. */
  addCdiDevices(spec: OciSpec, names: readonly string[]): Promise<OciSpec>;
}

export interface NriOptions {
  /** Where external plugins connect; '' for nowhere. */
  readonly socketPath: string;
  /** Folder of programs NN-NAME that are started with the daemon. */
  readonly pluginDir: string;
  /** Folder of their configurations, NN-NAME.conf or NAME.conf. */
  readonly configDir: string;
  readonly registrationTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly runtimeVersion: string;
  readonly host: NriHost;
  readonly log: Log;
}
