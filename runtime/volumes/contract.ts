/** Volumes with names: folders that outlive the containers that use them. `cri/admin` calls these; `named-volumes.ts` answers. */

export interface NamedVolume {
  readonly name: string;
  /** The folder to mount. */
  readonly path: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAtNs: bigint;
  /** Ids of the containers that mount it, in any state. */
  readonly containers: readonly string[];
}

export interface VolumeOperations {
  /** By name. */
  list(): readonly NamedVolume[];
  /** Makes it unless it is there, and then its labels stay. '' for a made-up name. Throws InvalidArgument. */
  ensure(name: string, labels: Readonly<Record<string, string>>): Promise<NamedVolume>;
  /**
   * With all that is in it; also what an earlier call took out of the list and did not remove. Throws NotFound, and
   * FailedPrecondition while a container mounts it.
   */
  remove(name: string): Promise<void>;
  /** Bytes on the disk. Throws NotFound. */
  measure(name: string): Promise<number>;
}
