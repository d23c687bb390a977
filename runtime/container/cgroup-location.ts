/** Where a container's cgroup stands below /sys/fs/cgroup, from the `cgroupsPath` that the OCI runtime was given. */
export { cgroupDirectory as cgroupLocation } from '../spec/cgroups-path.ts';
