/**
 * What an operator may ask of containers beyond the CRI. `cri/admin` calls these; `operations.ts` answers. Ids as in
 * `../contract.ts`.
 *
 * Containers of managed pods (`#base/managed-pod.ts`) alone can be revived, because a kubelet takes an exited container for
 * one that stays exited.
 */
import type { ProcessRow } from '#host/process-table.ts';
import type { ContainerRecord } from '../container/record.ts';

export interface PathStat {
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly sizeBytes: number;
  /** '' for what is no link. */
  readonly linkTarget: string;
}

export interface ContainerDetails {
  readonly record: ContainerRecord;
  readonly isPaused: boolean;
  /** [] where its image is not here any more. */
  readonly command: readonly string[];
}

export interface ContainerOperations {
  /**
   * The record of a container that has exited; waits for that. Throws NotFound, also if it is removed meanwhile, and
   * Unavailable when the daemon ends first.
   */
  wait(id: string, signal: AbortSignal): Promise<ContainerRecord>;
  /** Has all who wait told that the daemon ends: their calls must not hold it up. */
  endWaits(): void;
  /** Sends a signal, by name or number. Throws NotFound, FailedPrecondition (not running), InvalidArgument (signal). */
  kill(id: string, signalName: string): Promise<void>;
  /** Has a running container stand still. Idempotent. Throws NotFound, FailedPrecondition, Internal. */
  pause(id: string): Promise<void>;
  /** Lets it go on. Idempotent. Throws NotFound, FailedPrecondition, Internal. */
  unpause(id: string): Promise<void>;
  /** Another name for a container that is alone in a managed pod. Throws NotFound, FailedPrecondition, AlreadyExists. */
  rename(id: string, name: string): Promise<void>;
  /** All containers with what the CRI's list does not tell. */
  details(): readonly ContainerDetails[];
  /**
   * An exited container of a managed pod becomes created again, with its id, its name and its writable layer; its pod
   * becomes ready again. Idempotent for a container that is created. Throws NotFound, FailedPrecondition.
   */
  revive(id: string, signal: AbortSignal): Promise<void>;
  /** Throws NotFound, FailedPrecondition (not running). */
  listProcesses(id: string): readonly ProcessRow[];
  /** undefined for nothing there. Throws NotFound (container), FailedPrecondition. */
  statPath(
    id: string,
    path: string,
    options: { readonly followLink: boolean },
    signal: AbortSignal,
  ): Promise<PathStat | undefined>;
  /** Sends a tar archive of what is at `path`, links confined to the root. Throws NotFound, FailedPrecondition. */
  copyFrom(
    id: string,
    path: string,
    options: { readonly followLink: boolean },
    send: (piece: Buffer) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
  /** Unpacks a tar archive in the folder `path`. Throws NotFound, FailedPrecondition, InvalidArgument (archive). */
  copyTo(
    id: string,
    path: string,
    archive: AsyncIterable<Buffer>,
    options: { readonly keepOwner: boolean },
    signal: AbortSignal,
  ): Promise<void>;
}
