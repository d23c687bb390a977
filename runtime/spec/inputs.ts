/**
 * What the pure spec builder is given: the request, the image, and facts of the host that others looked up. The builder
 * reads no file and asks no kernel, so that the same inputs give the same spec.
 */
import type { ImageConfig } from '#images/contract.ts';
import type { ContainerConfig } from '../container/config.ts';
import type { SandboxConfig } from '../sandbox/config.ts';
import type { OciDevice } from './oci-spec.ts';

/** What of the host decides about a spec. Gathered once at start by the caller. */
export interface HostFacts {
  readonly cgroupVersion: 1 | 2;
  readonly cgroupDriver: 'cgroupfs' | 'systemd';
  /** memory.memsw or memory.swap exists. */
  readonly hasSwapController: boolean;
  readonly hasHugetlbController: boolean;
  /** Capability names (`CAP_CHOWN`) in the daemon's own bounding set: nothing outside it may be asked of the OCI runtime. */
  readonly boundingCapabilities: readonly string[];
  readonly isAppArmorEnabled: boolean;
  readonly isSelinuxEnabled: boolean;
  /** The daemon's own value; a lower request is clamped to it when `canLowerOomScore` is false. */
  readonly ownOomScoreAdj: number;
  readonly canLowerOomScore: boolean;
  /** In Go's spelling, as images and seccomp profiles use it. */
  readonly architecture: 'amd64' | 'arm64' | (string & {});
  /** Whether the OCI runtime takes the mount option `rro`. */
  readonly hasRecursiveReadonly: boolean;
  /** Whether the OCI runtime makes idmapped mounts. */
  readonly hasIdmappedMounts: boolean;
  /** As `uname -r` prints it, for seccomp rules with a minimum; absent: taken for newer than any minimum. */
  readonly kernelVersion?: string;
  /** The AppArmor profile that stands for "runtime default"; absent: there is none. */
  readonly defaultApparmorProfile?: string;
}

/** The process's user after /etc/passwd and /etc/group of the root file system were read. */
export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** Sorted ascending, with the primary gid. */
  readonly additionalGids: readonly number[];
  readonly home: string;
}

/** A mount source that the caller has resolved and checked on the host. */
export interface ResolvedMount {
  readonly containerPath: string;
  readonly hostPath: string;
  readonly isReadonly: boolean;
  readonly isRecursiveReadonly: boolean;
  readonly propagation: 'private' | 'hostToContainer' | 'bidirectional';
  readonly uidMappings: readonly { hostId: number; containerId: number; length: number }[];
  readonly gidMappings: readonly { hostId: number; containerId: number; length: number }[];
  /** Restrictions of the bind mount beyond the above, in the spelling of mount(8). */
  readonly extraOptions?: readonly string[];
}

/** Files and namespaces of the sandbox that containers use. A path of '' means the host's own namespace. */
export interface SandboxPaths {
  readonly netnsPath: string;
  readonly ipcnsPath: string;
  readonly utsnsPath: string;
  /** '' unless the pod has a user namespace. */
  readonly usernsPath: string;
  /** /proc/PID/ns/pid of the sandbox's init when the PID namespace is shared; '' otherwise. */
  readonly pidnsPath: string;
  readonly shmPath: string;
  readonly resolvConfPath: string;
  readonly hostnamePath: string;
  readonly hostsPath: string;
}

export interface ContainerSpecInput {
  readonly containerId: string;
  readonly sandboxId: string;
  readonly config: ContainerConfig;
  readonly sandboxConfig: SandboxConfig;
  readonly imageConfig: ImageConfig;
  readonly imageReference: string;
  readonly host: HostFacts;
  readonly paths: SandboxPaths;
  /** Mounted root file system. */
  readonly rootfsPath: string;
  readonly user: ResolvedUser;
  /** Requested mounts and image volumes, resolved, in request order. */
  readonly mounts: readonly ResolvedMount[];
  /** Devices requested (directories already expanded), with their cgroup access; for privileged, all of the host's. */
  readonly devices: readonly { readonly device: OciDevice; readonly access: string }[];
  /** The text of a Localhost seccomp profile, or of the node's own default for a RuntimeDefault one, read by the caller. */
  readonly localhostSeccompProfile: string | undefined;
  /** /proc/PID/ns/pid of the target container when pid mode is 'target'. */
  readonly targetPidnsPath: string;
  /** The container's hostname for HOSTNAME; the node's for host-network pods. */
  readonly hostname: string;
  /** Greatest number of tasks in the container's cgroup; 0 for none. */
  readonly defaultPidsLimit: number;
  /** The statically linked init on the host; absent or '': there is none. */
  readonly initPath?: string;
  /** Names of the AppArmor profiles that the kernel holds now; needed only where AppArmor is enabled. */
  readonly loadedApparmorProfiles?: readonly string[];
  /** The pod's own MCS level (`s0:c1,c2`), which all its containers share; needed only where SELinux is enabled. */
  readonly selinuxLevel?: string;
}

/** What the spec of a sandbox's init is made from. */
export interface SandboxInitSpecInput {
  readonly sandboxId: string;
  readonly config: SandboxConfig;
  readonly host: HostFacts;
  /** pidnsPath is not looked at: the init is what makes that namespace. */
  readonly paths: Pick<SandboxPaths, 'netnsPath' | 'ipcnsPath' | 'utsnsPath' | 'usernsPath'>;
  /** A directory that may be empty; the OCI runtime makes the mount points in it. */
  readonly rootfsPath: string;
  /** The statically linked init on the host, bound read-only into the root file system. */
  readonly initPath: string;
  readonly localhostSeccompProfile: string | undefined;
  readonly loadedApparmorProfiles?: readonly string[];
  readonly selinuxLevel?: string;
}
