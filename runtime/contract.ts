/**
 * What the outside face may ask of sandboxes and containers. `cri/` calls these; `runtime/sandbox` and
 * `runtime/container` answer.
 *
 * Ids: 64 hexadecimal digits; every `id` argument may be a unique prefix. An empty id is InvalidArgument, an ambiguous
 * prefix FailedPrecondition, an unknown one NotFound (but stop and remove of it succeed).
 * Reads answer from memory and never wait for a lock, a disk or a process.
 */
import type { ImageId } from '#images/contract.ts';
import type { ContainerConfig, ContainerId } from './container/config.ts';
import type { ContainerRecord } from './container/record.ts';
import type { LinuxResources, SandboxConfig, SandboxId } from './sandbox/config.ts';
import type { SandboxRecord } from './sandbox/record.ts';

export interface SandboxManager {
  /**
   * Creates and readies a sandbox. A request for the same name, namespace, uid and attempt joins the one under way or
   * returns the finished one. Cancellation undoes everything. Throws InvalidArgument, AlreadyExists (same names, other
   * handler), NotFound (handler), and whatever a step throws.
   */
  run(config: SandboxConfig, runtimeHandler: string, signal: AbortSignal): Promise<SandboxId>;
  /** Kills its containers, tears the network down, state notReady. Idempotent; an unknown id succeeds. */
  stop(id: string, signal: AbortSignal): Promise<void>;
  /** Stops it, removes its containers and its record. Idempotent; an unknown id succeeds. */
  remove(id: string, signal: AbortSignal): Promise<void>;
  get(id: string): SandboxRecord;
  find(id: string): SandboxRecord | undefined;
  /** All but initializing ones. */
  list(): readonly SandboxRecord[];
  updateResources(
    id: string,
    overhead: LinuxResources | undefined,
    resources: LinuxResources | undefined,
  ): Promise<void>;
}

export interface ExecSyncResult {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly exitCode: number;
}

export interface ContainerManager {
  /** Same joining rule as SandboxManager.run, per sandbox, container name and attempt. Throws NotFound, FailedPrecondition, InvalidArgument. */
  create(sandboxId: string, config: ContainerConfig, signal: AbortSignal): Promise<ContainerId>;
  /** From created only, else FailedPrecondition. */
  start(id: string, signal: AbortSignal): Promise<void>;
  /** timeoutMs 0 kills at once. A second stop with a nearer deadline shortens the first. Idempotent; an unknown id succeeds. */
  stop(id: string, timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** Kills it first if need be. Idempotent; an unknown id succeeds. */
  remove(id: string, signal: AbortSignal): Promise<void>;
  get(id: string): ContainerRecord;
  find(id: string): ContainerRecord | undefined;
  list(): readonly ContainerRecord[];
  /** All containers of one sandbox, those being created too. */
  listOf(sandboxId: SandboxId): readonly ContainerRecord[];
  updateResources(id: string, resources: LinuxResources, signal: AbortSignal): Promise<void>;
  /** When it returns, a new file stands at the log path. Only while running. */
  reopenLog(id: string, signal: AbortSignal): Promise<void>;
  /** timeoutMs 0: none. Throws DeadlineExceeded after killing the command and its descendants. */
  execSync(
    id: string,
    command: readonly string[],
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<ExecSyncResult>;
  /** The `info` of verbose status: sandboxID, pid, runtimeSpec, snapshotKey, ... as plain data. */
  describe(id: string): Record<string, unknown>;
  isImageInUse(id: ImageId): boolean;
}

export type LifecycleEventType = 'created' | 'started' | 'stopped' | 'deleted';

/** Announced after disk and memory have changed, in the order of the changes. */
export interface LifecycleEvent {
  readonly type: LifecycleEventType;
  /** The container, or the sandbox itself for sandbox events. */
  readonly subjectId: ContainerId | SandboxId;
  readonly sandboxId: SandboxId;
  readonly atNs: bigint;
}

export type LifecycleListener = (event: LifecycleEvent) => void;
