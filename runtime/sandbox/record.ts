/**
 * The record of a sandbox. A record is a value: every change makes a new object, which is written to disk first and put
 * in memory second, so that memory never claims more than the disk. Caches may key on the object.
 *
 *   initializing --(all steps done)--> ready --(stopped, or its namespaces or init gone)--> notReady --(removed)--> no record
 *   initializing --(a step failed and its undo failed too)--> notReady
 *   notReady --(revived, in a managed pod)--> ready, with the same id and another address
 *   unknown: the stored record could not be read; it can only be stopped and removed.
 */
import type { ProcessIdentity } from '#host/proc.ts';
import type { SandboxConfig, SandboxId } from './config.ts';

export type SandboxState = 'initializing' | 'ready' | 'notReady' | 'unknown';

export interface SandboxRecord {
  readonly id: SandboxId;
  readonly state: SandboxState;
  readonly config: SandboxConfig;
  /** As requested; '' means the default handler. */
  readonly runtimeHandler: string;
  /** Unix nanoseconds, strictly increasing over all sandboxes of this daemon. */
  readonly createdAtNs: bigint;
  /** Primary address first; empty for host network or before the network is up. */
  readonly ips: readonly string[];
  /** '' for the host's network. */
  readonly netnsPath: string;
  readonly ipcnsPath: string;
  readonly utsnsPath: string;
  readonly usernsPath: string;
  /** The init that holds a shared PID namespace; undefined when there is none. */
  readonly init: ProcessIdentity | undefined;
  /** The CNI result, for verbose status. */
  readonly cniResult: unknown;
  /** Whether RemovePodSandbox has begun: no container may be created any more. */
  readonly isRemoving: boolean;
  /** The folder of the checkpoint that it was made from. */
  readonly restoredFrom?: string;
  /** Its containers are being made from a checkpoint: a daemon that finds it so removes it. False when it was restored. */
  readonly isRestoring?: boolean;
  /** A stopped sandbox is being made ready again; a daemon that finds it so stops it. */
  readonly isReviving?: boolean;
}
