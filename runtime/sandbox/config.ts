/**
 * What a client asks of a sandbox, in Berth's own words; `cri/convert` makes it from a PodSandboxConfig. It is plain data
 * that survives JSON, for it is kept in the record as it came.
 */

export type SandboxId = string & { readonly brand: 'SandboxId' };

/** pod: shared by the pod; container: each its own; node: the host's; target: that of another container. */
export type NamespaceMode = 'pod' | 'container' | 'node' | 'target';

export interface IdMapping {
  readonly hostId: number;
  readonly containerId: number;
  readonly length: number;
}

export interface NamespaceOptions {
  readonly network: NamespaceMode;
  readonly pid: NamespaceMode;
  readonly ipc: NamespaceMode;
  /** The container whose PID namespace is joined when pid is 'target'. */
  readonly targetId: string;
  /** Absent: no user namespace. */
  readonly userns: { readonly uids: readonly IdMapping[]; readonly gids: readonly IdMapping[] } | undefined;
}

/** undefined stands for "message absent", which is not the same as a profile of type runtimeDefault (CRI SecurityProfile). */
export interface SecurityProfile {
  readonly type: 'runtimeDefault' | 'unconfined' | 'localhost';
  readonly localhostRef: string;
}

export interface SelinuxOptions {
  readonly user: string;
  readonly role: string;
  readonly type: string;
  readonly level: string;
}

export interface SandboxSecurity {
  readonly namespaces: NamespaceOptions;
  readonly selinux: SelinuxOptions | undefined;
  /** uid and gid of the sandbox's own init, if it has one. */
  readonly runAsUser: number | undefined;
  readonly runAsGroup: number | undefined;
  readonly readonlyRootfs: boolean;
  readonly supplementalGroups: readonly number[];
  readonly isPrivileged: boolean;
  readonly seccomp: SecurityProfile | undefined;
  readonly apparmor: SecurityProfile | undefined;
}

export interface PodMetadata {
  readonly name: string;
  readonly uid: string;
  readonly namespace: string;
  readonly attempt: number;
}

export interface DnsConfig {
  readonly servers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

export interface PodPortMapping {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly containerPort: number;
  readonly hostPort: number;
  readonly hostIp: string;
}

export interface SandboxConfig {
  readonly metadata: PodMetadata;
  readonly hostname: string;
  /** '' when the client wants no logs. */
  readonly logDirectory: string;
  /** undefined: the node's resolv.conf. */
  readonly dns: DnsConfig | undefined;
  readonly portMappings: readonly PodPortMapping[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** As the client sent it: a path for both cgroup drivers; '' means the runtime's default. */
  readonly cgroupParent: string;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly security: SandboxSecurity;
  /** Informative sums (LinuxPodSandboxConfig.overhead and .resources), kept for status and NRI. */
  readonly overhead: LinuxResources | undefined;
  readonly resources: LinuxResources | undefined;
}

/** CRI LinuxContainerResources. Zero means: not set. */
export interface LinuxResources {
  readonly cpuPeriod: number;
  readonly cpuQuota: number;
  readonly cpuShares: number;
  readonly memoryLimitBytes: number;
  readonly oomScoreAdj: number;
  readonly cpusetCpus: string;
  readonly cpusetMems: string;
  readonly hugepageLimits: readonly { readonly pageSize: string; readonly limitBytes: number }[];
  /** cgroup v2 files and their values. */
  readonly unified: Readonly<Record<string, string>>;
  readonly memorySwapLimitBytes: number;
}
