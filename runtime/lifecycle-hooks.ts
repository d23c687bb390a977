/**
 * Who takes part in what happens to sandboxes and containers, such as plugins of the node resource interface. The managers
 * call these at fixed points; without participants every call costs next to nothing.
 *
 * A call of `run*`, `update*`, `create*` and `start*` may reject, and then the request fails. The others tell of what is done
 * and never reject.
 */
import type { ContainerRecord } from './container/record.ts';
import type { LinuxResources } from './sandbox/config.ts';
import type { SandboxRecord } from './sandbox/record.ts';
import type { OciResources, OciSpec } from './spec/oci-spec.ts';

/** Limits twice: as the record keeps them, and as the OCI runtime is told. */
export interface Limits {
  readonly resources: LinuxResources;
  readonly oci: OciResources;
}

export interface AdjustedContainer {
  readonly spec: OciSpec;
  /** What was changed of the limits; undefined for nothing. */
  readonly changedResources: LinuxResources | undefined;
}

export interface LifecycleHooks {
  /**
   * Runs `work`, which calls hooks and records what they were told, while nobody begins to take part: a newcomer finds
   * the outcome in the records or hears of all of it, never of half. Calls must not nest; keep `work` short.
   */
  during<T>(work: () => Promise<T>): Promise<T>;
  /** The network and files of the sandbox are there; it is about to be ready. */
  runSandbox(sandbox: SandboxRecord): Promise<void>;
  updateSandbox(
    sandbox: SandboxRecord,
    overhead: LinuxResources | undefined,
    resources: LinuxResources | undefined,
  ): Promise<void>;
  sandboxUpdated(sandbox: SandboxRecord): Promise<void>;
  /** Its containers have stopped; its network is still there. May be called again for a sandbox that was stopped before. */
  sandboxStopped(sandbox: SandboxRecord): Promise<void>;
  /** Before its record goes. */
  removeSandbox(sandbox: SandboxRecord): Promise<void>;
  /** The last word on the spec of a container to be made. */
  createContainer(
    sandbox: SandboxRecord,
    container: ContainerRecord,
    spec: OciSpec,
  ): Promise<AdjustedContainer>;
  containerCreated(container: ContainerRecord): Promise<void>;
  startContainer(container: ContainerRecord): Promise<void>;
  containerStarted(container: ContainerRecord): Promise<void>;
  /** The last word on new limits. */
  updateContainer(container: ContainerRecord, wanted: Limits): Promise<Limits>;
  containerUpdated(container: ContainerRecord): Promise<void>;
  /** Its process has ended, for whatever reason, and that is recorded. Once per container. */
  containerStopped(container: ContainerRecord): Promise<void>;
  /** Before its record goes; again if that has to be tried again. */
  removeContainer(container: ContainerRecord): Promise<void>;
}

const nothing = async (): Promise<void> => {};

/** Nobody takes part. */
export const noHooks: LifecycleHooks = {
  during: (work) => work(),
  runSandbox: nothing,
  updateSandbox: nothing,
  sandboxUpdated: nothing,
  sandboxStopped: nothing,
  removeSandbox: nothing,
  createContainer: async (_sandbox, _container, spec) => ({ spec, changedResources: undefined }),
  containerCreated: nothing,
  startContainer: nothing,
  containerStarted: nothing,
  updateContainer: async (_container, wanted) => wanted,
  containerUpdated: nothing,
  containerStopped: nothing,
  removeContainer: nothing,
};
