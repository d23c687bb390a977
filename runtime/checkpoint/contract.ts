/**
 * Checkpoints: the state of running containers on disk, and containers that go on from there. CRIU (criu.org) does the work,
 * called by the OCI runtime; here is what surrounds it.
 *
 * While a container is captured all its processes stand still (the OCI runtime's pause). Whatever happens, they go on
 * afterwards: a call undoes it before it answers, and a daemon that takes over from one that died does it from a mark that
 * is on disk before the pause. Nothing is left of a capture that failed.
 */
import type { ContainerConfig, ContainerId } from '../container/config.ts';
import type { SandboxConfig, SandboxId } from '../sandbox/config.ts';

export interface PodCheckpointRequest {
  readonly sandboxId: string;
  /** An existing, empty folder, absolute. */
  readonly outputPath: string;
  readonly containerIds: readonly string[];
  /** None are known: every one is refused. */
  readonly options: Readonly<Record<string, string>>;
}

export interface PodRestoreRequest {
  readonly checkpointPath: string;
  readonly config: SandboxConfig;
  readonly runtimeHandler: string;
  /** As in PodCheckpointRequest. */
  readonly options: Readonly<Record<string, string>>;
  readonly containers: readonly ContainerConfig[];
}

export interface RestoredPod {
  readonly sandboxId: SandboxId;
  readonly containers: readonly { readonly name: string; readonly id: ContainerId }[];
}

export interface CheckpointManager {
  /**
   * Writes an archive of a running container to the absolute path `location` (mode 0600), in the format that checkpointctl
   * and other runtimes read. timeoutMs 0: as long as the caller waits. Throws NotFound, FailedPrecondition (not running; what
   * the host lacks), Unimplemented (an OCI runtime without CRIU), InvalidArgument, DeadlineExceeded, Internal with CRIU's words.
   */
  checkpointContainer(id: string, location: string, timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** All chosen containers as they were at one moment. Throws like checkpointContainer. */
  checkpointPod(request: PodCheckpointRequest, signal: AbortSignal): Promise<void>;
  /** A sandbox with its containers, created and not started; or nothing. Throws like SandboxManager.run and ContainerManager.create. */
  restorePod(request: PodRestoreRequest, signal: AbortSignal): Promise<RestoredPod>;
}
