/**
 * The record of a container. A record is a value: every change makes a new object, written to disk first and put in
 * memory second. Caches may key on the object.
 *
 *   creating --(OCI create done)--> created --(started)--> running --(its process ended)--> exited --(removed)--> no record
 *   created --(start failed)--> exited (code 128, StartError)      created --(its process died unstarted)--> exited
 *   exited --(revived, in a managed pod)--> created, with the same id and writable layer
 *   unknown: what became of its process cannot be told yet; it can be stopped and removed.
 */

import type { ProcessIdentity } from '#host/proc.ts';
import type { ImageId } from '#images/contract.ts';
import type { LinuxResources, SandboxId } from '../sandbox/config.ts';
import type { ContainerConfig, ContainerId } from './config.ts';

export type ContainerState = 'creating' | 'created' | 'running' | 'exited' | 'unknown';

export interface ContainerRecord {
  readonly id: ContainerId;
  readonly sandboxId: SandboxId;
  readonly state: ContainerState;
  readonly config: ContainerConfig;
  /** First repo tag of the image, else the string given at create (CRI ContainerStatus.image). */
  readonly imageName: string;
  /** First repo digest, else the image ID (CRI image_ref). */
  readonly imageRef: string;
  readonly imageId: ImageId;
  /** The images mounted as volumes: first repo digest, else the image ID, by the reference of the mount. */
  readonly imageVolumeRefs?: Readonly<Record<string, string>>;
  /** Unix nanoseconds, strictly increasing over all containers of this daemon. */
  readonly createdAtNs: bigint;
  /** 0n until started. */
  readonly startedAtNs: bigint;
  /** 0n until exited. */
  readonly finishedAtNs: bigint;
  readonly exitCode: number;
  /** Completed, Error, OOMKilled, StartError, Unknown; '' until exited. */
  readonly reason: string;
  readonly message: string;
  /** Absolute; '' for none. */
  readonly logPath: string;
  /** Resolved: request, image, SIGTERM. A name such as SIGTERM. */
  readonly stopSignal: string;
  /** What the client last asked for, not what the kernel rounded it to. */
  readonly resources: LinuxResources | undefined;
  readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] };
  /** The container's first process; undefined before create ended. */
  readonly process: ProcessIdentity | undefined;
  readonly monitor: ProcessIdentity | undefined;
  readonly handler: string;
  /** Path of the cgroup as given to the OCI runtime. */
  readonly cgroupsPath: string;
  readonly isRemoving: boolean;
  /** A running container stands still because somebody asked for that. Says nothing of one in another state. */
  readonly isPaused?: boolean;
  /** An exited container is being made startable again; a daemon that finds it so undoes that. */
  readonly isReviving?: boolean;
  /** Created to go on from a checkpoint: it has no process, and the OCI runtime does not know it, until it is started. */
  readonly isRestoring?: boolean;
}
