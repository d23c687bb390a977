/** Where a container's cgroup stands below /sys/fs/cgroup, from the `cgroupsPath` that the OCI runtime was given. */
import { clearGroup } from '#host/cgroup.ts';
import { cgroupDirectory } from '../spec/cgroups-path.ts';

export { cgroupDirectory as cgroupLocation } from '../spec/cgroups-path.ts';

/**
 * Kills what lives in the cgroup of container `id` and removes it. A path that is not the container's own (the name of every
 * container's group ends with its id) is left alone. Idempotent; false if processes in it do not die.
 */
export async function clearOwnGroup(version: 1 | 2, id: string, cgroupsPath: string): Promise<boolean> {
  return !cgroupsPath.endsWith(id) || clearGroup(version, cgroupDirectory(cgroupsPath));
}
