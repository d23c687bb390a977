// Made by `node proto/generate.ts` from proto/runtime/v1/api.proto. Do not edit.
//
// X is a decoded message: every field is present; an absent message is undefined, lists and maps are frozen when empty.
// XInit is what encode() takes: every field is optional, and a default value is the same as an absent one.
// Enum fields are open: a client of a later version may send a number that has no name here.

import type { Protocol, MountPropagation, NamespaceMode, SupplementalGroupsPolicy, SecurityProfile_ProfileType, PodSandboxState, Signal, ContainerState, ContainerEventType, MetricType, CgroupDriver } from './cri.ts';

export interface VersionRequest {
  version: string;
}
export interface VersionRequestInit {
  version?: string | undefined;
}

export interface VersionResponse {
  version: string;
  runtime_name: string;
  runtime_version: string;
  runtime_api_version: string;
}
export interface VersionResponseInit {
  version?: string | undefined;
  runtime_name?: string | undefined;
  runtime_version?: string | undefined;
  runtime_api_version?: string | undefined;
}

export interface DNSConfig {
  servers: readonly string[];
  searches: readonly string[];
  options: readonly string[];
}
export interface DNSConfigInit {
  servers?: readonly string[] | undefined;
  searches?: readonly string[] | undefined;
  options?: readonly string[] | undefined;
}

export interface PortMapping {
  protocol: Protocol;
  container_port: number;
  host_port: number;
  host_ip: string;
}
export interface PortMappingInit {
  protocol?: Protocol | undefined;
  container_port?: number | undefined;
  host_port?: number | undefined;
  host_ip?: string | undefined;
}

export interface Mount {
  container_path: string;
  host_path: string;
  readonly: boolean;
  selinux_relabel: boolean;
  propagation: MountPropagation;
  uidMappings: readonly IDMapping[];
  gidMappings: readonly IDMapping[];
  recursive_read_only: boolean;
  image: ImageSpec | undefined;
  image_sub_path: string;
  mount_options: readonly string[];
}
export interface MountInit {
  container_path?: string | undefined;
  host_path?: string | undefined;
  readonly?: boolean | undefined;
  selinux_relabel?: boolean | undefined;
  propagation?: MountPropagation | undefined;
  uidMappings?: readonly IDMappingInit[] | undefined;
  gidMappings?: readonly IDMappingInit[] | undefined;
  recursive_read_only?: boolean | undefined;
  image?: ImageSpecInit | undefined;
  image_sub_path?: string | undefined;
  mount_options?: readonly string[] | undefined;
}

export interface IDMapping {
  host_id: number;
  container_id: number;
  length: number;
}
export interface IDMappingInit {
  host_id?: number | undefined;
  container_id?: number | undefined;
  length?: number | undefined;
}

export interface UserNamespace {
  mode: NamespaceMode;
  uids: readonly IDMapping[];
  gids: readonly IDMapping[];
}
export interface UserNamespaceInit {
  mode?: NamespaceMode | undefined;
  uids?: readonly IDMappingInit[] | undefined;
  gids?: readonly IDMappingInit[] | undefined;
}

export interface NamespaceOption {
  network: NamespaceMode;
  pid: NamespaceMode;
  ipc: NamespaceMode;
  target_id: string;
  userns_options: UserNamespace | undefined;
}
export interface NamespaceOptionInit {
  network?: NamespaceMode | undefined;
  pid?: NamespaceMode | undefined;
  ipc?: NamespaceMode | undefined;
  target_id?: string | undefined;
  userns_options?: UserNamespaceInit | undefined;
}

export interface Int64Value {
  value: bigint;
}
export interface Int64ValueInit {
  value?: bigint | undefined;
}

export interface LinuxSandboxSecurityContext {
  namespace_options: NamespaceOption | undefined;
  selinux_options: SELinuxOption | undefined;
  run_as_user: Int64Value | undefined;
  run_as_group: Int64Value | undefined;
  readonly_rootfs: boolean;
  supplemental_groups: readonly bigint[];
  supplemental_groups_policy: SupplementalGroupsPolicy;
  privileged: boolean;
  seccomp: SecurityProfile | undefined;
  apparmor: SecurityProfile | undefined;
  seccomp_profile_path: string;
}
export interface LinuxSandboxSecurityContextInit {
  namespace_options?: NamespaceOptionInit | undefined;
  selinux_options?: SELinuxOptionInit | undefined;
  run_as_user?: Int64ValueInit | undefined;
  run_as_group?: Int64ValueInit | undefined;
  readonly_rootfs?: boolean | undefined;
  supplemental_groups?: readonly bigint[] | undefined;
  supplemental_groups_policy?: SupplementalGroupsPolicy | undefined;
  privileged?: boolean | undefined;
  seccomp?: SecurityProfileInit | undefined;
  apparmor?: SecurityProfileInit | undefined;
  seccomp_profile_path?: string | undefined;
}

export interface SecurityProfile {
  profile_type: SecurityProfile_ProfileType;
  localhost_ref: string;
}
export interface SecurityProfileInit {
  profile_type?: SecurityProfile_ProfileType | undefined;
  localhost_ref?: string | undefined;
}

export interface LinuxPodSandboxConfig {
  cgroup_parent: string;
  security_context: LinuxSandboxSecurityContext | undefined;
  sysctls: { readonly [key: string]: string };
  overhead: LinuxContainerResources | undefined;
  resources: LinuxContainerResources | undefined;
}
export interface LinuxPodSandboxConfigInit {
  cgroup_parent?: string | undefined;
  security_context?: LinuxSandboxSecurityContextInit | undefined;
  sysctls?: { readonly [key: string]: string } | undefined;
  overhead?: LinuxContainerResourcesInit | undefined;
  resources?: LinuxContainerResourcesInit | undefined;
}

export interface PodSandboxMetadata {
  name: string;
  uid: string;
  namespace: string;
  attempt: number;
}
export interface PodSandboxMetadataInit {
  name?: string | undefined;
  uid?: string | undefined;
  namespace?: string | undefined;
  attempt?: number | undefined;
}

export interface PodSandboxConfig {
  metadata: PodSandboxMetadata | undefined;
  hostname: string;
  log_directory: string;
  dns_config: DNSConfig | undefined;
  port_mappings: readonly PortMapping[];
  labels: { readonly [key: string]: string };
  annotations: { readonly [key: string]: string };
  linux: LinuxPodSandboxConfig | undefined;
  windows: WindowsPodSandboxConfig | undefined;
}
export interface PodSandboxConfigInit {
  metadata?: PodSandboxMetadataInit | undefined;
  hostname?: string | undefined;
  log_directory?: string | undefined;
  dns_config?: DNSConfigInit | undefined;
  port_mappings?: readonly PortMappingInit[] | undefined;
  labels?: { readonly [key: string]: string } | undefined;
  annotations?: { readonly [key: string]: string } | undefined;
  linux?: LinuxPodSandboxConfigInit | undefined;
  windows?: WindowsPodSandboxConfigInit | undefined;
}

export interface RunPodSandboxRequest {
  config: PodSandboxConfig | undefined;
  runtime_handler: string;
}
export interface RunPodSandboxRequestInit {
  config?: PodSandboxConfigInit | undefined;
  runtime_handler?: string | undefined;
}

export interface RunPodSandboxResponse {
  pod_sandbox_id: string;
}
export interface RunPodSandboxResponseInit {
  pod_sandbox_id?: string | undefined;
}

export interface StopPodSandboxRequest {
  pod_sandbox_id: string;
}
export interface StopPodSandboxRequestInit {
  pod_sandbox_id?: string | undefined;
}

export type StopPodSandboxResponse = Record<never, never>;
export type StopPodSandboxResponseInit = Record<never, never>;

export interface RemovePodSandboxRequest {
  pod_sandbox_id: string;
}
export interface RemovePodSandboxRequestInit {
  pod_sandbox_id?: string | undefined;
}

export type RemovePodSandboxResponse = Record<never, never>;
export type RemovePodSandboxResponseInit = Record<never, never>;

export interface PodSandboxStatusRequest {
  pod_sandbox_id: string;
  verbose: boolean;
}
export interface PodSandboxStatusRequestInit {
  pod_sandbox_id?: string | undefined;
  verbose?: boolean | undefined;
}

export interface PodIP {
  ip: string;
}
export interface PodIPInit {
  ip?: string | undefined;
}

export interface PodSandboxNetworkStatus {
  ip: string;
  additional_ips: readonly PodIP[];
}
export interface PodSandboxNetworkStatusInit {
  ip?: string | undefined;
  additional_ips?: readonly PodIPInit[] | undefined;
}

export interface Namespace {
  options: NamespaceOption | undefined;
}
export interface NamespaceInit {
  options?: NamespaceOptionInit | undefined;
}

export interface LinuxPodSandboxStatus {
  namespaces: Namespace | undefined;
}
export interface LinuxPodSandboxStatusInit {
  namespaces?: NamespaceInit | undefined;
}

export interface PodSandboxStatus {
  id: string;
  metadata: PodSandboxMetadata | undefined;
  state: PodSandboxState;
  created_at: bigint;
  network: PodSandboxNetworkStatus | undefined;
  linux: LinuxPodSandboxStatus | undefined;
  labels: { readonly [key: string]: string };
  annotations: { readonly [key: string]: string };
  runtime_handler: string;
}
export interface PodSandboxStatusInit {
  id?: string | undefined;
  metadata?: PodSandboxMetadataInit | undefined;
  state?: PodSandboxState | undefined;
  created_at?: bigint | undefined;
  network?: PodSandboxNetworkStatusInit | undefined;
  linux?: LinuxPodSandboxStatusInit | undefined;
  labels?: { readonly [key: string]: string } | undefined;
  annotations?: { readonly [key: string]: string } | undefined;
  runtime_handler?: string | undefined;
}

export interface PodSandboxStatusResponse {
  status: PodSandboxStatus | undefined;
  info: { readonly [key: string]: string };
  containers_statuses: readonly ContainerStatus[];
  timestamp: bigint;
}
export interface PodSandboxStatusResponseInit {
  status?: PodSandboxStatusInit | undefined;
  info?: { readonly [key: string]: string } | undefined;
  containers_statuses?: readonly ContainerStatusInit[] | undefined;
  timestamp?: bigint | undefined;
}

export interface PodSandboxStateValue {
  state: PodSandboxState;
}
export interface PodSandboxStateValueInit {
  state?: PodSandboxState | undefined;
}

export interface PodSandboxFilter {
  id: string;
  state: PodSandboxStateValue | undefined;
  label_selector: { readonly [key: string]: string };
}
export interface PodSandboxFilterInit {
  id?: string | undefined;
  state?: PodSandboxStateValueInit | undefined;
  label_selector?: { readonly [key: string]: string } | undefined;
}

export interface ListPodSandboxRequest {
  filter: PodSandboxFilter | undefined;
}
export interface ListPodSandboxRequestInit {
  filter?: PodSandboxFilterInit | undefined;
}

export interface PodSandbox {
  id: string;
  metadata: PodSandboxMetadata | undefined;
  state: PodSandboxState;
  created_at: bigint;
  labels: { readonly [key: string]: string };
  annotations: { readonly [key: string]: string };
  runtime_handler: string;
}
export interface PodSandboxInit {
  id?: string | undefined;
  metadata?: PodSandboxMetadataInit | undefined;
  state?: PodSandboxState | undefined;
  created_at?: bigint | undefined;
  labels?: { readonly [key: string]: string } | undefined;
  annotations?: { readonly [key: string]: string } | undefined;
  runtime_handler?: string | undefined;
}

export interface ListPodSandboxResponse {
  items: readonly PodSandbox[];
}
export interface ListPodSandboxResponseInit {
  items?: readonly PodSandboxInit[] | undefined;
}

export interface StreamPodSandboxesRequest {
  filter: PodSandboxFilter | undefined;
}
export interface StreamPodSandboxesRequestInit {
  filter?: PodSandboxFilterInit | undefined;
}

export interface StreamPodSandboxesResponse {
  pod_sandboxes: readonly PodSandbox[];
}
export interface StreamPodSandboxesResponseInit {
  pod_sandboxes?: readonly PodSandboxInit[] | undefined;
}

export interface PodSandboxStatsRequest {
  pod_sandbox_id: string;
}
export interface PodSandboxStatsRequestInit {
  pod_sandbox_id?: string | undefined;
}

export interface PodSandboxStatsResponse {
  stats: PodSandboxStats | undefined;
}
export interface PodSandboxStatsResponseInit {
  stats?: PodSandboxStatsInit | undefined;
}

export interface PodSandboxStatsFilter {
  id: string;
  label_selector: { readonly [key: string]: string };
}
export interface PodSandboxStatsFilterInit {
  id?: string | undefined;
  label_selector?: { readonly [key: string]: string } | undefined;
}

export interface ListPodSandboxStatsRequest {
  filter: PodSandboxStatsFilter | undefined;
}
export interface ListPodSandboxStatsRequestInit {
  filter?: PodSandboxStatsFilterInit | undefined;
}

export interface ListPodSandboxStatsResponse {
  stats: readonly PodSandboxStats[];
}
export interface ListPodSandboxStatsResponseInit {
  stats?: readonly PodSandboxStatsInit[] | undefined;
}

export interface StreamPodSandboxStatsRequest {
  filter: PodSandboxStatsFilter | undefined;
}
export interface StreamPodSandboxStatsRequestInit {
  filter?: PodSandboxStatsFilterInit | undefined;
}

export interface StreamPodSandboxStatsResponse {
  pod_sandbox_stats: readonly PodSandboxStats[];
}
export interface StreamPodSandboxStatsResponseInit {
  pod_sandbox_stats?: readonly PodSandboxStatsInit[] | undefined;
}

export interface PodSandboxAttributes {
  id: string;
  metadata: PodSandboxMetadata | undefined;
  labels: { readonly [key: string]: string };
  annotations: { readonly [key: string]: string };
}
export interface PodSandboxAttributesInit {
  id?: string | undefined;
  metadata?: PodSandboxMetadataInit | undefined;
  labels?: { readonly [key: string]: string } | undefined;
  annotations?: { readonly [key: string]: string } | undefined;
}

export interface PodSandboxStats {
  attributes: PodSandboxAttributes | undefined;
  linux: LinuxPodSandboxStats | undefined;
  windows: WindowsPodSandboxStats | undefined;
}
export interface PodSandboxStatsInit {
  attributes?: PodSandboxAttributesInit | undefined;
  linux?: LinuxPodSandboxStatsInit | undefined;
  windows?: WindowsPodSandboxStatsInit | undefined;
}

export interface LinuxPodSandboxStats {
  cpu: CpuUsage | undefined;
  memory: MemoryUsage | undefined;
  network: NetworkUsage | undefined;
  process: ProcessUsage | undefined;
  containers: readonly ContainerStats[];
  io: IoUsage | undefined;
}
export interface LinuxPodSandboxStatsInit {
  cpu?: CpuUsageInit | undefined;
  memory?: MemoryUsageInit | undefined;
  network?: NetworkUsageInit | undefined;
  process?: ProcessUsageInit | undefined;
  containers?: readonly ContainerStatsInit[] | undefined;
  io?: IoUsageInit | undefined;
}

export interface WindowsPodSandboxStats {
  cpu: WindowsCpuUsage | undefined;
  memory: WindowsMemoryUsage | undefined;
  network: WindowsNetworkUsage | undefined;
  process: WindowsProcessUsage | undefined;
  containers: readonly WindowsContainerStats[];
}
export interface WindowsPodSandboxStatsInit {
  cpu?: WindowsCpuUsageInit | undefined;
  memory?: WindowsMemoryUsageInit | undefined;
  network?: WindowsNetworkUsageInit | undefined;
  process?: WindowsProcessUsageInit | undefined;
  containers?: readonly WindowsContainerStatsInit[] | undefined;
}

export interface NetworkUsage {
  timestamp: bigint;
  default_interface: NetworkInterfaceUsage | undefined;
  interfaces: readonly NetworkInterfaceUsage[];
}
export interface NetworkUsageInit {
  timestamp?: bigint | undefined;
  default_interface?: NetworkInterfaceUsageInit | undefined;
  interfaces?: readonly NetworkInterfaceUsageInit[] | undefined;
}

export interface WindowsNetworkUsage {
  timestamp: bigint;
  default_interface: WindowsNetworkInterfaceUsage | undefined;
  interfaces: readonly WindowsNetworkInterfaceUsage[];
}
export interface WindowsNetworkUsageInit {
  timestamp?: bigint | undefined;
  default_interface?: WindowsNetworkInterfaceUsageInit | undefined;
  interfaces?: readonly WindowsNetworkInterfaceUsageInit[] | undefined;
}

export interface NetworkInterfaceUsage {
  name: string;
  rx_bytes: UInt64Value | undefined;
  rx_errors: UInt64Value | undefined;
  tx_bytes: UInt64Value | undefined;
  tx_errors: UInt64Value | undefined;
}
export interface NetworkInterfaceUsageInit {
  name?: string | undefined;
  rx_bytes?: UInt64ValueInit | undefined;
  rx_errors?: UInt64ValueInit | undefined;
  tx_bytes?: UInt64ValueInit | undefined;
  tx_errors?: UInt64ValueInit | undefined;
}

export interface WindowsNetworkInterfaceUsage {
  name: string;
  rx_bytes: UInt64Value | undefined;
  rx_packets_dropped: UInt64Value | undefined;
  tx_bytes: UInt64Value | undefined;
  tx_packets_dropped: UInt64Value | undefined;
}
export interface WindowsNetworkInterfaceUsageInit {
  name?: string | undefined;
  rx_bytes?: UInt64ValueInit | undefined;
  rx_packets_dropped?: UInt64ValueInit | undefined;
  tx_bytes?: UInt64ValueInit | undefined;
  tx_packets_dropped?: UInt64ValueInit | undefined;
}

export interface ProcessUsage {
  timestamp: bigint;
  process_count: UInt64Value | undefined;
}
export interface ProcessUsageInit {
  timestamp?: bigint | undefined;
  process_count?: UInt64ValueInit | undefined;
}

export interface WindowsProcessUsage {
  timestamp: bigint;
  process_count: UInt64Value | undefined;
}
export interface WindowsProcessUsageInit {
  timestamp?: bigint | undefined;
  process_count?: UInt64ValueInit | undefined;
}

export interface ImageSpec {
  image: string;
  annotations: { readonly [key: string]: string };
  user_specified_image: string;
  runtime_handler: string;
  image_ref: string;
}
export interface ImageSpecInit {
  image?: string | undefined;
  annotations?: { readonly [key: string]: string } | undefined;
  user_specified_image?: string | undefined;
  runtime_handler?: string | undefined;
  image_ref?: string | undefined;
}

export interface KeyValue {
  key: string;
  value: Buffer;
}
export interface KeyValueInit {
  key?: string | undefined;
  value?: Uint8Array | undefined;
}

export interface LinuxContainerResources {
  cpu_period: bigint;
  cpu_quota: bigint;
  cpu_shares: bigint;
  memory_limit_in_bytes: bigint;
  oom_score_adj: bigint;
  cpuset_cpus: string;
  cpuset_mems: string;
  hugepage_limits: readonly HugepageLimit[];
  unified: { readonly [key: string]: string };
  memory_swap_limit_in_bytes: bigint;
}
export interface LinuxContainerResourcesInit {
  cpu_period?: bigint | undefined;
  cpu_quota?: bigint | undefined;
  cpu_shares?: bigint | undefined;
  memory_limit_in_bytes?: bigint | undefined;
  oom_score_adj?: bigint | undefined;
  cpuset_cpus?: string | undefined;
  cpuset_mems?: string | undefined;
  hugepage_limits?: readonly HugepageLimitInit[] | undefined;
  unified?: { readonly [key: string]: string } | undefined;
  memory_swap_limit_in_bytes?: bigint | undefined;
}

export interface HugepageLimit {
  page_size: string;
  limit: bigint;
}
export interface HugepageLimitInit {
  page_size?: string | undefined;
  limit?: bigint | undefined;
}

export interface SELinuxOption {
  user: string;
  role: string;
  type: string;
  level: string;
}
export interface SELinuxOptionInit {
  user?: string | undefined;
  role?: string | undefined;
  type?: string | undefined;
  level?: string | undefined;
}

export interface Capability {
  add_capabilities: readonly string[];
  drop_capabilities: readonly string[];
  add_ambient_capabilities: readonly string[];
}
export interface CapabilityInit {
  add_capabilities?: readonly string[] | undefined;
  drop_capabilities?: readonly string[] | undefined;
  add_ambient_capabilities?: readonly string[] | undefined;
}

export interface LinuxContainerSecurityContext {
  capabilities: Capability | undefined;
  privileged: boolean;
  namespace_options: NamespaceOption | undefined;
  selinux_options: SELinuxOption | undefined;
  run_as_user: Int64Value | undefined;
  run_as_group: Int64Value | undefined;
  run_as_username: string;
  readonly_rootfs: boolean;
  supplemental_groups: readonly bigint[];
  supplemental_groups_policy: SupplementalGroupsPolicy;
  no_new_privs: boolean;
  masked_paths: readonly string[];
  readonly_paths: readonly string[];
  seccomp: SecurityProfile | undefined;
  apparmor: SecurityProfile | undefined;
  apparmor_profile: string;
  seccomp_profile_path: string;
}
export interface LinuxContainerSecurityContextInit {
  capabilities?: CapabilityInit | undefined;
  privileged?: boolean | undefined;
  namespace_options?: NamespaceOptionInit | undefined;
  selinux_options?: SELinuxOptionInit | undefined;
  run_as_user?: Int64ValueInit | undefined;
  run_as_group?: Int64ValueInit | undefined;
  run_as_username?: string | undefined;
  readonly_rootfs?: boolean | undefined;
  supplemental_groups?: readonly bigint[] | undefined;
  supplemental_groups_policy?: SupplementalGroupsPolicy | undefined;
  no_new_privs?: boolean | undefined;
  masked_paths?: readonly string[] | undefined;
  readonly_paths?: readonly string[] | undefined;
  seccomp?: SecurityProfileInit | undefined;
  apparmor?: SecurityProfileInit | undefined;
  apparmor_profile?: string | undefined;
  seccomp_profile_path?: string | undefined;
}

export interface LinuxContainerConfig {
  resources: LinuxContainerResources | undefined;
  security_context: LinuxContainerSecurityContext | undefined;
}
export interface LinuxContainerConfigInit {
  resources?: LinuxContainerResourcesInit | undefined;
  security_context?: LinuxContainerSecurityContextInit | undefined;
}

export interface LinuxContainerUser {
  uid: bigint;
  gid: bigint;
  supplemental_groups: readonly bigint[];
}
export interface LinuxContainerUserInit {
  uid?: bigint | undefined;
  gid?: bigint | undefined;
  supplemental_groups?: readonly bigint[] | undefined;
}

export interface WindowsNamespaceOption {
  network: NamespaceMode;
}
export interface WindowsNamespaceOptionInit {
  network?: NamespaceMode | undefined;
}

export interface WindowsSandboxSecurityContext {
  run_as_username: string;
  credential_spec: string;
  host_process: boolean;
  namespace_options: WindowsNamespaceOption | undefined;
}
export interface WindowsSandboxSecurityContextInit {
  run_as_username?: string | undefined;
  credential_spec?: string | undefined;
  host_process?: boolean | undefined;
  namespace_options?: WindowsNamespaceOptionInit | undefined;
}

export interface WindowsPodSandboxConfig {
  security_context: WindowsSandboxSecurityContext | undefined;
}
export interface WindowsPodSandboxConfigInit {
  security_context?: WindowsSandboxSecurityContextInit | undefined;
}

export interface WindowsContainerSecurityContext {
  run_as_username: string;
  credential_spec: string;
  host_process: boolean;
}
export interface WindowsContainerSecurityContextInit {
  run_as_username?: string | undefined;
  credential_spec?: string | undefined;
  host_process?: boolean | undefined;
}

export interface WindowsContainerConfig {
  resources: WindowsContainerResources | undefined;
  security_context: WindowsContainerSecurityContext | undefined;
}
export interface WindowsContainerConfigInit {
  resources?: WindowsContainerResourcesInit | undefined;
  security_context?: WindowsContainerSecurityContextInit | undefined;
}

export interface WindowsContainerResources {
  cpu_shares: bigint;
  cpu_count: bigint;
  cpu_maximum: bigint;
  memory_limit_in_bytes: bigint;
  rootfs_size_in_bytes: bigint;
  affinity_cpus: readonly WindowsCpuGroupAffinity[];
}
export interface WindowsContainerResourcesInit {
  cpu_shares?: bigint | undefined;
  cpu_count?: bigint | undefined;
  cpu_maximum?: bigint | undefined;
  memory_limit_in_bytes?: bigint | undefined;
  rootfs_size_in_bytes?: bigint | undefined;
  affinity_cpus?: readonly WindowsCpuGroupAffinityInit[] | undefined;
}

export interface WindowsCpuGroupAffinity {
  cpu_mask: bigint;
  cpu_group: number;
}
export interface WindowsCpuGroupAffinityInit {
  cpu_mask?: bigint | undefined;
  cpu_group?: number | undefined;
}

export interface ContainerMetadata {
  name: string;
  attempt: number;
}
export interface ContainerMetadataInit {
  name?: string | undefined;
  attempt?: number | undefined;
}

export interface Device {
  container_path: string;
  host_path: string;
  permissions: string;
}
export interface DeviceInit {
  container_path?: string | undefined;
  host_path?: string | undefined;
  permissions?: string | undefined;
}

export interface CDIDevice {
  name: string;
}
export interface CDIDeviceInit {
  name?: string | undefined;
}

export interface ContainerConfig {
  metadata: ContainerMetadata | undefined;
  image: ImageSpec | undefined;
  command: readonly string[];
  args: readonly string[];
  working_dir: string;
  envs: readonly KeyValue[];
  mounts: readonly Mount[];
  devices: readonly Device[];
  labels: { readonly [key: string]: string };
  annotations: { readonly [key: string]: string };
  log_path: string;
  stdin: boolean;
  stdin_once: boolean;
  tty: boolean;
  linux: LinuxContainerConfig | undefined;
  windows: WindowsContainerConfig | undefined;
  CDI_devices: readonly CDIDevice[];
  stop_signal: Signal;
}
export interface ContainerConfigInit {
  metadata?: ContainerMetadataInit | undefined;
  image?: ImageSpecInit | undefined;
  command?: readonly string[] | undefined;
  args?: readonly string[] | undefined;
  working_dir?: string | undefined;
  envs?: readonly KeyValueInit[] | undefined;
  mounts?: readonly MountInit[] | undefined;
  devices?: readonly DeviceInit[] | undefined;
  labels?: { readonly [key: string]: string } | undefined;
  annotations?: { readonly [key: string]: string } | undefined;
  log_path?: string | undefined;
  stdin?: boolean | undefined;
  stdin_once?: boolean | undefined;
  tty?: boolean | undefined;
  linux?: LinuxContainerConfigInit | undefined;
  windows?: WindowsContainerConfigInit | undefined;
  CDI_devices?: readonly CDIDeviceInit[] | undefined;
  stop_signal?: Signal | undefined;
}

export interface CreateContainerRequest {
  pod_sandbox_id: string;
  config: ContainerConfig | undefined;
  sandbox_config: PodSandboxConfig | undefined;
}
export interface CreateContainerRequestInit {
  pod_sandbox_id?: string | undefined;
  config?: ContainerConfigInit | undefined;
  sandbox_config?: PodSandboxConfigInit | undefined;
}

export interface CreateContainerResponse {
  container_id: string;
}
export interface CreateContainerResponseInit {
  container_id?: string | undefined;
}

export interface StartContainerRequest {
  container_id: string;
}
export interface StartContainerRequestInit {
  container_id?: string | undefined;
}

export type StartContainerResponse = Record<never, never>;
export type StartContainerResponseInit = Record<never, never>;

export interface StopContainerRequest {
  container_id: string;
  timeout: bigint;
}
export interface StopContainerRequestInit {
  container_id?: string | undefined;
  timeout?: bigint | undefined;
}

export type StopContainerResponse = Record<never, never>;
export type StopContainerResponseInit = Record<never, never>;

export interface RemoveContainerRequest {
  container_id: string;
}
export interface RemoveContainerRequestInit {
  container_id?: string | undefined;
}

export type RemoveContainerResponse = Record<never, never>;
export type RemoveContainerResponseInit = Record<never, never>;

export interface ContainerStateValue {
  state: ContainerState;
}
export interface ContainerStateValueInit {
  state?: ContainerState | undefined;
}

export interface ContainerFilter {
  id: string;
  state: ContainerStateValue | undefined;
  pod_sandbox_id: string;
  label_selector: { readonly [key: string]: string };
}
export interface ContainerFilterInit {
  id?: string | undefined;
  state?: ContainerStateValueInit | undefined;
  pod_sandbox_id?: string | undefined;
  label_selector?: { readonly [key: string]: string } | undefined;
}

export interface ListContainersRequest {
  filter: ContainerFilter | undefined;
}
export interface ListContainersRequestInit {
  filter?: ContainerFilterInit | undefined;
}

export interface Container {
  id: string;
  pod_sandbox_id: string;
  metadata: ContainerMetadata | undefined;
  image: ImageSpec | undefined;
  image_ref: string;
  state: ContainerState;
  created_at: bigint;
  labels: { readonly [key: string]: string };
  annotations: { readonly [key: string]: string };
  image_id: string;
}
export interface ContainerInit {
  id?: string | undefined;
  pod_sandbox_id?: string | undefined;
  metadata?: ContainerMetadataInit | undefined;
  image?: ImageSpecInit | undefined;
  image_ref?: string | undefined;
  state?: ContainerState | undefined;
  created_at?: bigint | undefined;
  labels?: { readonly [key: string]: string } | undefined;
  annotations?: { readonly [key: string]: string } | undefined;
  image_id?: string | undefined;
}

export interface ListContainersResponse {
  containers: readonly Container[];
}
export interface ListContainersResponseInit {
  containers?: readonly ContainerInit[] | undefined;
}

export interface StreamContainersRequest {
  filter: ContainerFilter | undefined;
}
export interface StreamContainersRequestInit {
  filter?: ContainerFilterInit | undefined;
}

export interface StreamContainersResponse {
  containers: readonly Container[];
}
export interface StreamContainersResponseInit {
  containers?: readonly ContainerInit[] | undefined;
}

export interface ContainerStatusRequest {
  container_id: string;
  verbose: boolean;
}
export interface ContainerStatusRequestInit {
  container_id?: string | undefined;
  verbose?: boolean | undefined;
}

export interface ContainerStatus {
  id: string;
  metadata: ContainerMetadata | undefined;
  state: ContainerState;
  created_at: bigint;
  started_at: bigint;
  finished_at: bigint;
  exit_code: number;
  image: ImageSpec | undefined;
  image_ref: string;
  reason: string;
  message: string;
  labels: { readonly [key: string]: string };
  annotations: { readonly [key: string]: string };
  mounts: readonly Mount[];
  log_path: string;
  resources: ContainerResources | undefined;
  image_id: string;
  user: ContainerUser | undefined;
  stop_signal: Signal;
}
export interface ContainerStatusInit {
  id?: string | undefined;
  metadata?: ContainerMetadataInit | undefined;
  state?: ContainerState | undefined;
  created_at?: bigint | undefined;
  started_at?: bigint | undefined;
  finished_at?: bigint | undefined;
  exit_code?: number | undefined;
  image?: ImageSpecInit | undefined;
  image_ref?: string | undefined;
  reason?: string | undefined;
  message?: string | undefined;
  labels?: { readonly [key: string]: string } | undefined;
  annotations?: { readonly [key: string]: string } | undefined;
  mounts?: readonly MountInit[] | undefined;
  log_path?: string | undefined;
  resources?: ContainerResourcesInit | undefined;
  image_id?: string | undefined;
  user?: ContainerUserInit | undefined;
  stop_signal?: Signal | undefined;
}

export interface ContainerStatusResponse {
  status: ContainerStatus | undefined;
  info: { readonly [key: string]: string };
}
export interface ContainerStatusResponseInit {
  status?: ContainerStatusInit | undefined;
  info?: { readonly [key: string]: string } | undefined;
}

export interface ContainerResources {
  linux: LinuxContainerResources | undefined;
  windows: WindowsContainerResources | undefined;
}
export interface ContainerResourcesInit {
  linux?: LinuxContainerResourcesInit | undefined;
  windows?: WindowsContainerResourcesInit | undefined;
}

export interface ContainerUser {
  linux: LinuxContainerUser | undefined;
}
export interface ContainerUserInit {
  linux?: LinuxContainerUserInit | undefined;
}

export interface UpdateContainerResourcesRequest {
  container_id: string;
  linux: LinuxContainerResources | undefined;
  windows: WindowsContainerResources | undefined;
  annotations: { readonly [key: string]: string };
}
export interface UpdateContainerResourcesRequestInit {
  container_id?: string | undefined;
  linux?: LinuxContainerResourcesInit | undefined;
  windows?: WindowsContainerResourcesInit | undefined;
  annotations?: { readonly [key: string]: string } | undefined;
}

export type UpdateContainerResourcesResponse = Record<never, never>;
export type UpdateContainerResourcesResponseInit = Record<never, never>;

export interface ExecSyncRequest {
  container_id: string;
  cmd: readonly string[];
  timeout: bigint;
}
export interface ExecSyncRequestInit {
  container_id?: string | undefined;
  cmd?: readonly string[] | undefined;
  timeout?: bigint | undefined;
}

export interface ExecSyncResponse {
  stdout: Buffer;
  stderr: Buffer;
  exit_code: number;
}
export interface ExecSyncResponseInit {
  stdout?: Uint8Array | undefined;
  stderr?: Uint8Array | undefined;
  exit_code?: number | undefined;
}

export interface ExecRequest {
  container_id: string;
  cmd: readonly string[];
  tty: boolean;
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
}
export interface ExecRequestInit {
  container_id?: string | undefined;
  cmd?: readonly string[] | undefined;
  tty?: boolean | undefined;
  stdin?: boolean | undefined;
  stdout?: boolean | undefined;
  stderr?: boolean | undefined;
}

export interface ExecResponse {
  url: string;
}
export interface ExecResponseInit {
  url?: string | undefined;
}

export interface AttachRequest {
  container_id: string;
  stdin: boolean;
  tty: boolean;
  stdout: boolean;
  stderr: boolean;
}
export interface AttachRequestInit {
  container_id?: string | undefined;
  stdin?: boolean | undefined;
  tty?: boolean | undefined;
  stdout?: boolean | undefined;
  stderr?: boolean | undefined;
}

export interface AttachResponse {
  url: string;
}
export interface AttachResponseInit {
  url?: string | undefined;
}

export interface PortForwardRequest {
  pod_sandbox_id: string;
  port: readonly number[];
}
export interface PortForwardRequestInit {
  pod_sandbox_id?: string | undefined;
  port?: readonly number[] | undefined;
}

export interface PortForwardResponse {
  url: string;
}
export interface PortForwardResponseInit {
  url?: string | undefined;
}

export interface ImageFilter {
  image: ImageSpec | undefined;
}
export interface ImageFilterInit {
  image?: ImageSpecInit | undefined;
}

export interface ListImagesRequest {
  filter: ImageFilter | undefined;
}
export interface ListImagesRequestInit {
  filter?: ImageFilterInit | undefined;
}

export interface Image {
  id: string;
  repo_tags: readonly string[];
  repo_digests: readonly string[];
  size: bigint;
  uid: Int64Value | undefined;
  username: string;
  spec: ImageSpec | undefined;
  pinned: boolean;
}
export interface ImageInit {
  id?: string | undefined;
  repo_tags?: readonly string[] | undefined;
  repo_digests?: readonly string[] | undefined;
  size?: bigint | undefined;
  uid?: Int64ValueInit | undefined;
  username?: string | undefined;
  spec?: ImageSpecInit | undefined;
  pinned?: boolean | undefined;
}

export interface ListImagesResponse {
  images: readonly Image[];
}
export interface ListImagesResponseInit {
  images?: readonly ImageInit[] | undefined;
}

export interface StreamImagesRequest {
  filter: ImageFilter | undefined;
}
export interface StreamImagesRequestInit {
  filter?: ImageFilterInit | undefined;
}

export interface StreamImagesResponse {
  images: readonly Image[];
}
export interface StreamImagesResponseInit {
  images?: readonly ImageInit[] | undefined;
}

export interface ImageStatusRequest {
  image: ImageSpec | undefined;
  verbose: boolean;
}
export interface ImageStatusRequestInit {
  image?: ImageSpecInit | undefined;
  verbose?: boolean | undefined;
}

export interface ImageStatusResponse {
  image: Image | undefined;
  info: { readonly [key: string]: string };
}
export interface ImageStatusResponseInit {
  image?: ImageInit | undefined;
  info?: { readonly [key: string]: string } | undefined;
}

export interface AuthConfig {
  username: string;
  password: string;
  auth: string;
  server_address: string;
  identity_token: string;
  registry_token: string;
}
export interface AuthConfigInit {
  username?: string | undefined;
  password?: string | undefined;
  auth?: string | undefined;
  server_address?: string | undefined;
  identity_token?: string | undefined;
  registry_token?: string | undefined;
}

export interface PullImageRequest {
  image: ImageSpec | undefined;
  auth: AuthConfig | undefined;
  sandbox_config: PodSandboxConfig | undefined;
}
export interface PullImageRequestInit {
  image?: ImageSpecInit | undefined;
  auth?: AuthConfigInit | undefined;
  sandbox_config?: PodSandboxConfigInit | undefined;
}

export interface PullImageResponse {
  image_ref: string;
}
export interface PullImageResponseInit {
  image_ref?: string | undefined;
}

export interface RemoveImageRequest {
  image: ImageSpec | undefined;
}
export interface RemoveImageRequestInit {
  image?: ImageSpecInit | undefined;
}

export type RemoveImageResponse = Record<never, never>;
export type RemoveImageResponseInit = Record<never, never>;

export interface NetworkConfig {
  pod_cidr: string;
}
export interface NetworkConfigInit {
  pod_cidr?: string | undefined;
}

export interface RuntimeConfig {
  network_config: NetworkConfig | undefined;
}
export interface RuntimeConfigInit {
  network_config?: NetworkConfigInit | undefined;
}

export interface UpdateRuntimeConfigRequest {
  runtime_config: RuntimeConfig | undefined;
}
export interface UpdateRuntimeConfigRequestInit {
  runtime_config?: RuntimeConfigInit | undefined;
}

export type UpdateRuntimeConfigResponse = Record<never, never>;
export type UpdateRuntimeConfigResponseInit = Record<never, never>;

export interface RuntimeCondition {
  type: string;
  status: boolean;
  reason: string;
  message: string;
}
export interface RuntimeConditionInit {
  type?: string | undefined;
  status?: boolean | undefined;
  reason?: string | undefined;
  message?: string | undefined;
}

export interface RuntimeStatus {
  conditions: readonly RuntimeCondition[];
}
export interface RuntimeStatusInit {
  conditions?: readonly RuntimeConditionInit[] | undefined;
}

export interface StatusRequest {
  verbose: boolean;
}
export interface StatusRequestInit {
  verbose?: boolean | undefined;
}

export interface RuntimeHandlerFeatures {
  recursive_read_only_mounts: boolean;
  user_namespaces: boolean;
}
export interface RuntimeHandlerFeaturesInit {
  recursive_read_only_mounts?: boolean | undefined;
  user_namespaces?: boolean | undefined;
}

export interface RuntimeHandler {
  name: string;
  features: RuntimeHandlerFeatures | undefined;
}
export interface RuntimeHandlerInit {
  name?: string | undefined;
  features?: RuntimeHandlerFeaturesInit | undefined;
}

export interface RuntimeFeatures {
  supplemental_groups_policy: boolean;
  user_namespaces_host_network: boolean;
  mount_options: boolean;
}
export interface RuntimeFeaturesInit {
  supplemental_groups_policy?: boolean | undefined;
  user_namespaces_host_network?: boolean | undefined;
  mount_options?: boolean | undefined;
}

export interface StatusResponse {
  status: RuntimeStatus | undefined;
  info: { readonly [key: string]: string };
  runtime_handlers: readonly RuntimeHandler[];
  features: RuntimeFeatures | undefined;
}
export interface StatusResponseInit {
  status?: RuntimeStatusInit | undefined;
  info?: { readonly [key: string]: string } | undefined;
  runtime_handlers?: readonly RuntimeHandlerInit[] | undefined;
  features?: RuntimeFeaturesInit | undefined;
}

export type ImageFsInfoRequest = Record<never, never>;
export type ImageFsInfoRequestInit = Record<never, never>;

export interface UInt64Value {
  value: bigint;
}
export interface UInt64ValueInit {
  value?: bigint | undefined;
}

export interface FilesystemIdentifier {
  mountpoint: string;
}
export interface FilesystemIdentifierInit {
  mountpoint?: string | undefined;
}

export interface FilesystemUsage {
  timestamp: bigint;
  fs_id: FilesystemIdentifier | undefined;
  used_bytes: UInt64Value | undefined;
  inodes_used: UInt64Value | undefined;
}
export interface FilesystemUsageInit {
  timestamp?: bigint | undefined;
  fs_id?: FilesystemIdentifierInit | undefined;
  used_bytes?: UInt64ValueInit | undefined;
  inodes_used?: UInt64ValueInit | undefined;
}

export interface WindowsFilesystemUsage {
  timestamp: bigint;
  fs_id: FilesystemIdentifier | undefined;
  used_bytes: UInt64Value | undefined;
}
export interface WindowsFilesystemUsageInit {
  timestamp?: bigint | undefined;
  fs_id?: FilesystemIdentifierInit | undefined;
  used_bytes?: UInt64ValueInit | undefined;
}

export interface ImageFsInfoResponse {
  image_filesystems: readonly FilesystemUsage[];
  container_filesystems: readonly FilesystemUsage[];
}
export interface ImageFsInfoResponseInit {
  image_filesystems?: readonly FilesystemUsageInit[] | undefined;
  container_filesystems?: readonly FilesystemUsageInit[] | undefined;
}

export interface ContainerStatsRequest {
  container_id: string;
}
export interface ContainerStatsRequestInit {
  container_id?: string | undefined;
}

export interface ContainerStatsResponse {
  stats: ContainerStats | undefined;
}
export interface ContainerStatsResponseInit {
  stats?: ContainerStatsInit | undefined;
}

export interface ListContainerStatsRequest {
  filter: ContainerStatsFilter | undefined;
}
export interface ListContainerStatsRequestInit {
  filter?: ContainerStatsFilterInit | undefined;
}

export interface ContainerStatsFilter {
  id: string;
  pod_sandbox_id: string;
  label_selector: { readonly [key: string]: string };
}
export interface ContainerStatsFilterInit {
  id?: string | undefined;
  pod_sandbox_id?: string | undefined;
  label_selector?: { readonly [key: string]: string } | undefined;
}

export interface ListContainerStatsResponse {
  stats: readonly ContainerStats[];
}
export interface ListContainerStatsResponseInit {
  stats?: readonly ContainerStatsInit[] | undefined;
}

export interface StreamContainerStatsRequest {
  filter: ContainerStatsFilter | undefined;
}
export interface StreamContainerStatsRequestInit {
  filter?: ContainerStatsFilterInit | undefined;
}

export interface StreamContainerStatsResponse {
  container_stats: readonly ContainerStats[];
}
export interface StreamContainerStatsResponseInit {
  container_stats?: readonly ContainerStatsInit[] | undefined;
}

export interface ContainerAttributes {
  id: string;
  metadata: ContainerMetadata | undefined;
  labels: { readonly [key: string]: string };
  annotations: { readonly [key: string]: string };
}
export interface ContainerAttributesInit {
  id?: string | undefined;
  metadata?: ContainerMetadataInit | undefined;
  labels?: { readonly [key: string]: string } | undefined;
  annotations?: { readonly [key: string]: string } | undefined;
}

export interface ContainerStats {
  attributes: ContainerAttributes | undefined;
  cpu: CpuUsage | undefined;
  memory: MemoryUsage | undefined;
  writable_layer: FilesystemUsage | undefined;
  swap: SwapUsage | undefined;
  io: IoUsage | undefined;
}
export interface ContainerStatsInit {
  attributes?: ContainerAttributesInit | undefined;
  cpu?: CpuUsageInit | undefined;
  memory?: MemoryUsageInit | undefined;
  writable_layer?: FilesystemUsageInit | undefined;
  swap?: SwapUsageInit | undefined;
  io?: IoUsageInit | undefined;
}

export interface WindowsContainerStats {
  attributes: ContainerAttributes | undefined;
  cpu: WindowsCpuUsage | undefined;
  memory: WindowsMemoryUsage | undefined;
  writable_layer: WindowsFilesystemUsage | undefined;
}
export interface WindowsContainerStatsInit {
  attributes?: ContainerAttributesInit | undefined;
  cpu?: WindowsCpuUsageInit | undefined;
  memory?: WindowsMemoryUsageInit | undefined;
  writable_layer?: WindowsFilesystemUsageInit | undefined;
}

export interface PsiStats {
  Full: PsiData | undefined;
  Some: PsiData | undefined;
}
export interface PsiStatsInit {
  Full?: PsiDataInit | undefined;
  Some?: PsiDataInit | undefined;
}

export interface PsiData {
  Total: bigint;
  Avg10: number;
  Avg60: number;
  Avg300: number;
}
export interface PsiDataInit {
  Total?: bigint | undefined;
  Avg10?: number | undefined;
  Avg60?: number | undefined;
  Avg300?: number | undefined;
}

export interface CpuUsage {
  timestamp: bigint;
  usage_core_nano_seconds: UInt64Value | undefined;
  usage_nano_cores: UInt64Value | undefined;
  psi: PsiStats | undefined;
}
export interface CpuUsageInit {
  timestamp?: bigint | undefined;
  usage_core_nano_seconds?: UInt64ValueInit | undefined;
  usage_nano_cores?: UInt64ValueInit | undefined;
  psi?: PsiStatsInit | undefined;
}

export interface WindowsCpuUsage {
  timestamp: bigint;
  usage_core_nano_seconds: UInt64Value | undefined;
  usage_nano_cores: UInt64Value | undefined;
}
export interface WindowsCpuUsageInit {
  timestamp?: bigint | undefined;
  usage_core_nano_seconds?: UInt64ValueInit | undefined;
  usage_nano_cores?: UInt64ValueInit | undefined;
}

export interface MemoryUsage {
  timestamp: bigint;
  working_set_bytes: UInt64Value | undefined;
  available_bytes: UInt64Value | undefined;
  usage_bytes: UInt64Value | undefined;
  rss_bytes: UInt64Value | undefined;
  page_faults: UInt64Value | undefined;
  major_page_faults: UInt64Value | undefined;
  psi: PsiStats | undefined;
}
export interface MemoryUsageInit {
  timestamp?: bigint | undefined;
  working_set_bytes?: UInt64ValueInit | undefined;
  available_bytes?: UInt64ValueInit | undefined;
  usage_bytes?: UInt64ValueInit | undefined;
  rss_bytes?: UInt64ValueInit | undefined;
  page_faults?: UInt64ValueInit | undefined;
  major_page_faults?: UInt64ValueInit | undefined;
  psi?: PsiStatsInit | undefined;
}

export interface IoUsage {
  timestamp: bigint;
  psi: PsiStats | undefined;
}
export interface IoUsageInit {
  timestamp?: bigint | undefined;
  psi?: PsiStatsInit | undefined;
}

export interface SwapUsage {
  timestamp: bigint;
  swap_available_bytes: UInt64Value | undefined;
  swap_usage_bytes: UInt64Value | undefined;
}
export interface SwapUsageInit {
  timestamp?: bigint | undefined;
  swap_available_bytes?: UInt64ValueInit | undefined;
  swap_usage_bytes?: UInt64ValueInit | undefined;
}

export interface WindowsMemoryUsage {
  timestamp: bigint;
  working_set_bytes: UInt64Value | undefined;
  available_bytes: UInt64Value | undefined;
  page_faults: UInt64Value | undefined;
  commit_memory_bytes: UInt64Value | undefined;
}
export interface WindowsMemoryUsageInit {
  timestamp?: bigint | undefined;
  working_set_bytes?: UInt64ValueInit | undefined;
  available_bytes?: UInt64ValueInit | undefined;
  page_faults?: UInt64ValueInit | undefined;
  commit_memory_bytes?: UInt64ValueInit | undefined;
}

export interface ReopenContainerLogRequest {
  container_id: string;
}
export interface ReopenContainerLogRequestInit {
  container_id?: string | undefined;
}

export type ReopenContainerLogResponse = Record<never, never>;
export type ReopenContainerLogResponseInit = Record<never, never>;

export interface CheckpointContainerRequest {
  container_id: string;
  location: string;
  timeout: bigint;
}
export interface CheckpointContainerRequestInit {
  container_id?: string | undefined;
  location?: string | undefined;
  timeout?: bigint | undefined;
}

export type CheckpointContainerResponse = Record<never, never>;
export type CheckpointContainerResponseInit = Record<never, never>;

export interface CheckpointPodRequest {
  pod_sandbox_id: string;
  output_path: string;
  container_ids: readonly string[];
  options: { readonly [key: string]: string };
}
export interface CheckpointPodRequestInit {
  pod_sandbox_id?: string | undefined;
  output_path?: string | undefined;
  container_ids?: readonly string[] | undefined;
  options?: { readonly [key: string]: string } | undefined;
}

export type CheckpointPodResponse = Record<never, never>;
export type CheckpointPodResponseInit = Record<never, never>;

export interface RestorePodRequest {
  checkpoint_path: string;
  config: PodSandboxConfig | undefined;
  runtime_handler: string;
  options: { readonly [key: string]: string };
  container_configs: readonly ContainerConfig[];
}
export interface RestorePodRequestInit {
  checkpoint_path?: string | undefined;
  config?: PodSandboxConfigInit | undefined;
  runtime_handler?: string | undefined;
  options?: { readonly [key: string]: string } | undefined;
  container_configs?: readonly ContainerConfigInit[] | undefined;
}

export interface RestoredContainer {
  name: string;
  container_id: string;
}
export interface RestoredContainerInit {
  name?: string | undefined;
  container_id?: string | undefined;
}

export interface RestorePodResponse {
  pod_sandbox_id: string;
  restored_containers: readonly RestoredContainer[];
}
export interface RestorePodResponseInit {
  pod_sandbox_id?: string | undefined;
  restored_containers?: readonly RestoredContainerInit[] | undefined;
}

export type GetEventsRequest = Record<never, never>;
export type GetEventsRequestInit = Record<never, never>;

export interface ContainerEventResponse {
  container_id: string;
  container_event_type: ContainerEventType;
  created_at: bigint;
  pod_sandbox_status: PodSandboxStatus | undefined;
  containers_statuses: readonly ContainerStatus[];
}
export interface ContainerEventResponseInit {
  container_id?: string | undefined;
  container_event_type?: ContainerEventType | undefined;
  created_at?: bigint | undefined;
  pod_sandbox_status?: PodSandboxStatusInit | undefined;
  containers_statuses?: readonly ContainerStatusInit[] | undefined;
}

export type ListMetricDescriptorsRequest = Record<never, never>;
export type ListMetricDescriptorsRequestInit = Record<never, never>;

export interface ListMetricDescriptorsResponse {
  descriptors: readonly MetricDescriptor[];
}
export interface ListMetricDescriptorsResponseInit {
  descriptors?: readonly MetricDescriptorInit[] | undefined;
}

export interface MetricDescriptor {
  name: string;
  help: string;
  label_keys: readonly string[];
}
export interface MetricDescriptorInit {
  name?: string | undefined;
  help?: string | undefined;
  label_keys?: readonly string[] | undefined;
}

export type ListPodSandboxMetricsRequest = Record<never, never>;
export type ListPodSandboxMetricsRequestInit = Record<never, never>;

export interface ListPodSandboxMetricsResponse {
  pod_metrics: readonly PodSandboxMetrics[];
}
export interface ListPodSandboxMetricsResponseInit {
  pod_metrics?: readonly PodSandboxMetricsInit[] | undefined;
}

export type StreamPodSandboxMetricsRequest = Record<never, never>;
export type StreamPodSandboxMetricsRequestInit = Record<never, never>;

export interface StreamPodSandboxMetricsResponse {
  pod_sandbox_metrics: readonly PodSandboxMetrics[];
}
export interface StreamPodSandboxMetricsResponseInit {
  pod_sandbox_metrics?: readonly PodSandboxMetricsInit[] | undefined;
}

export interface PodSandboxMetrics {
  pod_sandbox_id: string;
  metrics: readonly Metric[];
  container_metrics: readonly ContainerMetrics[];
}
export interface PodSandboxMetricsInit {
  pod_sandbox_id?: string | undefined;
  metrics?: readonly MetricInit[] | undefined;
  container_metrics?: readonly ContainerMetricsInit[] | undefined;
}

export interface ContainerMetrics {
  container_id: string;
  metrics: readonly Metric[];
}
export interface ContainerMetricsInit {
  container_id?: string | undefined;
  metrics?: readonly MetricInit[] | undefined;
}

export interface Metric {
  name: string;
  timestamp: bigint;
  metric_type: MetricType;
  label_values: readonly string[];
  value: UInt64Value | undefined;
}
export interface MetricInit {
  name?: string | undefined;
  timestamp?: bigint | undefined;
  metric_type?: MetricType | undefined;
  label_values?: readonly string[] | undefined;
  value?: UInt64ValueInit | undefined;
}

export type RuntimeConfigRequest = Record<never, never>;
export type RuntimeConfigRequestInit = Record<never, never>;

export interface RuntimeConfigResponse {
  linux: LinuxRuntimeConfiguration | undefined;
}
export interface RuntimeConfigResponseInit {
  linux?: LinuxRuntimeConfigurationInit | undefined;
}

export interface LinuxRuntimeConfiguration {
  cgroup_driver: CgroupDriver;
}
export interface LinuxRuntimeConfigurationInit {
  cgroup_driver?: CgroupDriver | undefined;
}

export interface UpdatePodSandboxResourcesRequest {
  pod_sandbox_id: string;
  overhead: LinuxContainerResources | undefined;
  resources: LinuxContainerResources | undefined;
}
export interface UpdatePodSandboxResourcesRequestInit {
  pod_sandbox_id?: string | undefined;
  overhead?: LinuxContainerResourcesInit | undefined;
  resources?: LinuxContainerResourcesInit | undefined;
}

export type UpdatePodSandboxResourcesResponse = Record<never, never>;
export type UpdatePodSandboxResourcesResponseInit = Record<never, never>;

/** Decoded messages by name. */
export interface Messages {
  VersionRequest: VersionRequest;
  VersionResponse: VersionResponse;
  DNSConfig: DNSConfig;
  PortMapping: PortMapping;
  Mount: Mount;
  IDMapping: IDMapping;
  UserNamespace: UserNamespace;
  NamespaceOption: NamespaceOption;
  Int64Value: Int64Value;
  LinuxSandboxSecurityContext: LinuxSandboxSecurityContext;
  SecurityProfile: SecurityProfile;
  LinuxPodSandboxConfig: LinuxPodSandboxConfig;
  PodSandboxMetadata: PodSandboxMetadata;
  PodSandboxConfig: PodSandboxConfig;
  RunPodSandboxRequest: RunPodSandboxRequest;
  RunPodSandboxResponse: RunPodSandboxResponse;
  StopPodSandboxRequest: StopPodSandboxRequest;
  StopPodSandboxResponse: StopPodSandboxResponse;
  RemovePodSandboxRequest: RemovePodSandboxRequest;
  RemovePodSandboxResponse: RemovePodSandboxResponse;
  PodSandboxStatusRequest: PodSandboxStatusRequest;
  PodIP: PodIP;
  PodSandboxNetworkStatus: PodSandboxNetworkStatus;
  Namespace: Namespace;
  LinuxPodSandboxStatus: LinuxPodSandboxStatus;
  PodSandboxStatus: PodSandboxStatus;
  PodSandboxStatusResponse: PodSandboxStatusResponse;
  PodSandboxStateValue: PodSandboxStateValue;
  PodSandboxFilter: PodSandboxFilter;
  ListPodSandboxRequest: ListPodSandboxRequest;
  PodSandbox: PodSandbox;
  ListPodSandboxResponse: ListPodSandboxResponse;
  StreamPodSandboxesRequest: StreamPodSandboxesRequest;
  StreamPodSandboxesResponse: StreamPodSandboxesResponse;
  PodSandboxStatsRequest: PodSandboxStatsRequest;
  PodSandboxStatsResponse: PodSandboxStatsResponse;
  PodSandboxStatsFilter: PodSandboxStatsFilter;
  ListPodSandboxStatsRequest: ListPodSandboxStatsRequest;
  ListPodSandboxStatsResponse: ListPodSandboxStatsResponse;
  StreamPodSandboxStatsRequest: StreamPodSandboxStatsRequest;
  StreamPodSandboxStatsResponse: StreamPodSandboxStatsResponse;
  PodSandboxAttributes: PodSandboxAttributes;
  PodSandboxStats: PodSandboxStats;
  LinuxPodSandboxStats: LinuxPodSandboxStats;
  WindowsPodSandboxStats: WindowsPodSandboxStats;
  NetworkUsage: NetworkUsage;
  WindowsNetworkUsage: WindowsNetworkUsage;
  NetworkInterfaceUsage: NetworkInterfaceUsage;
  WindowsNetworkInterfaceUsage: WindowsNetworkInterfaceUsage;
  ProcessUsage: ProcessUsage;
  WindowsProcessUsage: WindowsProcessUsage;
  ImageSpec: ImageSpec;
  KeyValue: KeyValue;
  LinuxContainerResources: LinuxContainerResources;
  HugepageLimit: HugepageLimit;
  SELinuxOption: SELinuxOption;
  Capability: Capability;
  LinuxContainerSecurityContext: LinuxContainerSecurityContext;
  LinuxContainerConfig: LinuxContainerConfig;
  LinuxContainerUser: LinuxContainerUser;
  WindowsNamespaceOption: WindowsNamespaceOption;
  WindowsSandboxSecurityContext: WindowsSandboxSecurityContext;
  WindowsPodSandboxConfig: WindowsPodSandboxConfig;
  WindowsContainerSecurityContext: WindowsContainerSecurityContext;
  WindowsContainerConfig: WindowsContainerConfig;
  WindowsContainerResources: WindowsContainerResources;
  WindowsCpuGroupAffinity: WindowsCpuGroupAffinity;
  ContainerMetadata: ContainerMetadata;
  Device: Device;
  CDIDevice: CDIDevice;
  ContainerConfig: ContainerConfig;
  CreateContainerRequest: CreateContainerRequest;
  CreateContainerResponse: CreateContainerResponse;
  StartContainerRequest: StartContainerRequest;
  StartContainerResponse: StartContainerResponse;
  StopContainerRequest: StopContainerRequest;
  StopContainerResponse: StopContainerResponse;
  RemoveContainerRequest: RemoveContainerRequest;
  RemoveContainerResponse: RemoveContainerResponse;
  ContainerStateValue: ContainerStateValue;
  ContainerFilter: ContainerFilter;
  ListContainersRequest: ListContainersRequest;
  Container: Container;
  ListContainersResponse: ListContainersResponse;
  StreamContainersRequest: StreamContainersRequest;
  StreamContainersResponse: StreamContainersResponse;
  ContainerStatusRequest: ContainerStatusRequest;
  ContainerStatus: ContainerStatus;
  ContainerStatusResponse: ContainerStatusResponse;
  ContainerResources: ContainerResources;
  ContainerUser: ContainerUser;
  UpdateContainerResourcesRequest: UpdateContainerResourcesRequest;
  UpdateContainerResourcesResponse: UpdateContainerResourcesResponse;
  ExecSyncRequest: ExecSyncRequest;
  ExecSyncResponse: ExecSyncResponse;
  ExecRequest: ExecRequest;
  ExecResponse: ExecResponse;
  AttachRequest: AttachRequest;
  AttachResponse: AttachResponse;
  PortForwardRequest: PortForwardRequest;
  PortForwardResponse: PortForwardResponse;
  ImageFilter: ImageFilter;
  ListImagesRequest: ListImagesRequest;
  Image: Image;
  ListImagesResponse: ListImagesResponse;
  StreamImagesRequest: StreamImagesRequest;
  StreamImagesResponse: StreamImagesResponse;
  ImageStatusRequest: ImageStatusRequest;
  ImageStatusResponse: ImageStatusResponse;
  AuthConfig: AuthConfig;
  PullImageRequest: PullImageRequest;
  PullImageResponse: PullImageResponse;
  RemoveImageRequest: RemoveImageRequest;
  RemoveImageResponse: RemoveImageResponse;
  NetworkConfig: NetworkConfig;
  RuntimeConfig: RuntimeConfig;
  UpdateRuntimeConfigRequest: UpdateRuntimeConfigRequest;
  UpdateRuntimeConfigResponse: UpdateRuntimeConfigResponse;
  RuntimeCondition: RuntimeCondition;
  RuntimeStatus: RuntimeStatus;
  StatusRequest: StatusRequest;
  RuntimeHandlerFeatures: RuntimeHandlerFeatures;
  RuntimeHandler: RuntimeHandler;
  RuntimeFeatures: RuntimeFeatures;
  StatusResponse: StatusResponse;
  ImageFsInfoRequest: ImageFsInfoRequest;
  UInt64Value: UInt64Value;
  FilesystemIdentifier: FilesystemIdentifier;
  FilesystemUsage: FilesystemUsage;
  WindowsFilesystemUsage: WindowsFilesystemUsage;
  ImageFsInfoResponse: ImageFsInfoResponse;
  ContainerStatsRequest: ContainerStatsRequest;
  ContainerStatsResponse: ContainerStatsResponse;
  ListContainerStatsRequest: ListContainerStatsRequest;
  ContainerStatsFilter: ContainerStatsFilter;
  ListContainerStatsResponse: ListContainerStatsResponse;
  StreamContainerStatsRequest: StreamContainerStatsRequest;
  StreamContainerStatsResponse: StreamContainerStatsResponse;
  ContainerAttributes: ContainerAttributes;
  ContainerStats: ContainerStats;
  WindowsContainerStats: WindowsContainerStats;
  PsiStats: PsiStats;
  PsiData: PsiData;
  CpuUsage: CpuUsage;
  WindowsCpuUsage: WindowsCpuUsage;
  MemoryUsage: MemoryUsage;
  IoUsage: IoUsage;
  SwapUsage: SwapUsage;
  WindowsMemoryUsage: WindowsMemoryUsage;
  ReopenContainerLogRequest: ReopenContainerLogRequest;
  ReopenContainerLogResponse: ReopenContainerLogResponse;
  CheckpointContainerRequest: CheckpointContainerRequest;
  CheckpointContainerResponse: CheckpointContainerResponse;
  CheckpointPodRequest: CheckpointPodRequest;
  CheckpointPodResponse: CheckpointPodResponse;
  RestorePodRequest: RestorePodRequest;
  RestoredContainer: RestoredContainer;
  RestorePodResponse: RestorePodResponse;
  GetEventsRequest: GetEventsRequest;
  ContainerEventResponse: ContainerEventResponse;
  ListMetricDescriptorsRequest: ListMetricDescriptorsRequest;
  ListMetricDescriptorsResponse: ListMetricDescriptorsResponse;
  MetricDescriptor: MetricDescriptor;
  ListPodSandboxMetricsRequest: ListPodSandboxMetricsRequest;
  ListPodSandboxMetricsResponse: ListPodSandboxMetricsResponse;
  StreamPodSandboxMetricsRequest: StreamPodSandboxMetricsRequest;
  StreamPodSandboxMetricsResponse: StreamPodSandboxMetricsResponse;
  PodSandboxMetrics: PodSandboxMetrics;
  ContainerMetrics: ContainerMetrics;
  Metric: Metric;
  RuntimeConfigRequest: RuntimeConfigRequest;
  RuntimeConfigResponse: RuntimeConfigResponse;
  LinuxRuntimeConfiguration: LinuxRuntimeConfiguration;
  UpdatePodSandboxResourcesRequest: UpdatePodSandboxResourcesRequest;
  UpdatePodSandboxResourcesResponse: UpdatePodSandboxResourcesResponse;
}

/** Messages to encode by name. */
export interface MessageInits {
  VersionRequest: VersionRequestInit;
  VersionResponse: VersionResponseInit;
  DNSConfig: DNSConfigInit;
  PortMapping: PortMappingInit;
  Mount: MountInit;
  IDMapping: IDMappingInit;
  UserNamespace: UserNamespaceInit;
  NamespaceOption: NamespaceOptionInit;
  Int64Value: Int64ValueInit;
  LinuxSandboxSecurityContext: LinuxSandboxSecurityContextInit;
  SecurityProfile: SecurityProfileInit;
  LinuxPodSandboxConfig: LinuxPodSandboxConfigInit;
  PodSandboxMetadata: PodSandboxMetadataInit;
  PodSandboxConfig: PodSandboxConfigInit;
  RunPodSandboxRequest: RunPodSandboxRequestInit;
  RunPodSandboxResponse: RunPodSandboxResponseInit;
  StopPodSandboxRequest: StopPodSandboxRequestInit;
  StopPodSandboxResponse: StopPodSandboxResponseInit;
  RemovePodSandboxRequest: RemovePodSandboxRequestInit;
  RemovePodSandboxResponse: RemovePodSandboxResponseInit;
  PodSandboxStatusRequest: PodSandboxStatusRequestInit;
  PodIP: PodIPInit;
  PodSandboxNetworkStatus: PodSandboxNetworkStatusInit;
  Namespace: NamespaceInit;
  LinuxPodSandboxStatus: LinuxPodSandboxStatusInit;
  PodSandboxStatus: PodSandboxStatusInit;
  PodSandboxStatusResponse: PodSandboxStatusResponseInit;
  PodSandboxStateValue: PodSandboxStateValueInit;
  PodSandboxFilter: PodSandboxFilterInit;
  ListPodSandboxRequest: ListPodSandboxRequestInit;
  PodSandbox: PodSandboxInit;
  ListPodSandboxResponse: ListPodSandboxResponseInit;
  StreamPodSandboxesRequest: StreamPodSandboxesRequestInit;
  StreamPodSandboxesResponse: StreamPodSandboxesResponseInit;
  PodSandboxStatsRequest: PodSandboxStatsRequestInit;
  PodSandboxStatsResponse: PodSandboxStatsResponseInit;
  PodSandboxStatsFilter: PodSandboxStatsFilterInit;
  ListPodSandboxStatsRequest: ListPodSandboxStatsRequestInit;
  ListPodSandboxStatsResponse: ListPodSandboxStatsResponseInit;
  StreamPodSandboxStatsRequest: StreamPodSandboxStatsRequestInit;
  StreamPodSandboxStatsResponse: StreamPodSandboxStatsResponseInit;
  PodSandboxAttributes: PodSandboxAttributesInit;
  PodSandboxStats: PodSandboxStatsInit;
  LinuxPodSandboxStats: LinuxPodSandboxStatsInit;
  WindowsPodSandboxStats: WindowsPodSandboxStatsInit;
  NetworkUsage: NetworkUsageInit;
  WindowsNetworkUsage: WindowsNetworkUsageInit;
  NetworkInterfaceUsage: NetworkInterfaceUsageInit;
  WindowsNetworkInterfaceUsage: WindowsNetworkInterfaceUsageInit;
  ProcessUsage: ProcessUsageInit;
  WindowsProcessUsage: WindowsProcessUsageInit;
  ImageSpec: ImageSpecInit;
  KeyValue: KeyValueInit;
  LinuxContainerResources: LinuxContainerResourcesInit;
  HugepageLimit: HugepageLimitInit;
  SELinuxOption: SELinuxOptionInit;
  Capability: CapabilityInit;
  LinuxContainerSecurityContext: LinuxContainerSecurityContextInit;
  LinuxContainerConfig: LinuxContainerConfigInit;
  LinuxContainerUser: LinuxContainerUserInit;
  WindowsNamespaceOption: WindowsNamespaceOptionInit;
  WindowsSandboxSecurityContext: WindowsSandboxSecurityContextInit;
  WindowsPodSandboxConfig: WindowsPodSandboxConfigInit;
  WindowsContainerSecurityContext: WindowsContainerSecurityContextInit;
  WindowsContainerConfig: WindowsContainerConfigInit;
  WindowsContainerResources: WindowsContainerResourcesInit;
  WindowsCpuGroupAffinity: WindowsCpuGroupAffinityInit;
  ContainerMetadata: ContainerMetadataInit;
  Device: DeviceInit;
  CDIDevice: CDIDeviceInit;
  ContainerConfig: ContainerConfigInit;
  CreateContainerRequest: CreateContainerRequestInit;
  CreateContainerResponse: CreateContainerResponseInit;
  StartContainerRequest: StartContainerRequestInit;
  StartContainerResponse: StartContainerResponseInit;
  StopContainerRequest: StopContainerRequestInit;
  StopContainerResponse: StopContainerResponseInit;
  RemoveContainerRequest: RemoveContainerRequestInit;
  RemoveContainerResponse: RemoveContainerResponseInit;
  ContainerStateValue: ContainerStateValueInit;
  ContainerFilter: ContainerFilterInit;
  ListContainersRequest: ListContainersRequestInit;
  Container: ContainerInit;
  ListContainersResponse: ListContainersResponseInit;
  StreamContainersRequest: StreamContainersRequestInit;
  StreamContainersResponse: StreamContainersResponseInit;
  ContainerStatusRequest: ContainerStatusRequestInit;
  ContainerStatus: ContainerStatusInit;
  ContainerStatusResponse: ContainerStatusResponseInit;
  ContainerResources: ContainerResourcesInit;
  ContainerUser: ContainerUserInit;
  UpdateContainerResourcesRequest: UpdateContainerResourcesRequestInit;
  UpdateContainerResourcesResponse: UpdateContainerResourcesResponseInit;
  ExecSyncRequest: ExecSyncRequestInit;
  ExecSyncResponse: ExecSyncResponseInit;
  ExecRequest: ExecRequestInit;
  ExecResponse: ExecResponseInit;
  AttachRequest: AttachRequestInit;
  AttachResponse: AttachResponseInit;
  PortForwardRequest: PortForwardRequestInit;
  PortForwardResponse: PortForwardResponseInit;
  ImageFilter: ImageFilterInit;
  ListImagesRequest: ListImagesRequestInit;
  Image: ImageInit;
  ListImagesResponse: ListImagesResponseInit;
  StreamImagesRequest: StreamImagesRequestInit;
  StreamImagesResponse: StreamImagesResponseInit;
  ImageStatusRequest: ImageStatusRequestInit;
  ImageStatusResponse: ImageStatusResponseInit;
  AuthConfig: AuthConfigInit;
  PullImageRequest: PullImageRequestInit;
  PullImageResponse: PullImageResponseInit;
  RemoveImageRequest: RemoveImageRequestInit;
  RemoveImageResponse: RemoveImageResponseInit;
  NetworkConfig: NetworkConfigInit;
  RuntimeConfig: RuntimeConfigInit;
  UpdateRuntimeConfigRequest: UpdateRuntimeConfigRequestInit;
  UpdateRuntimeConfigResponse: UpdateRuntimeConfigResponseInit;
  RuntimeCondition: RuntimeConditionInit;
  RuntimeStatus: RuntimeStatusInit;
  StatusRequest: StatusRequestInit;
  RuntimeHandlerFeatures: RuntimeHandlerFeaturesInit;
  RuntimeHandler: RuntimeHandlerInit;
  RuntimeFeatures: RuntimeFeaturesInit;
  StatusResponse: StatusResponseInit;
  ImageFsInfoRequest: ImageFsInfoRequestInit;
  UInt64Value: UInt64ValueInit;
  FilesystemIdentifier: FilesystemIdentifierInit;
  FilesystemUsage: FilesystemUsageInit;
  WindowsFilesystemUsage: WindowsFilesystemUsageInit;
  ImageFsInfoResponse: ImageFsInfoResponseInit;
  ContainerStatsRequest: ContainerStatsRequestInit;
  ContainerStatsResponse: ContainerStatsResponseInit;
  ListContainerStatsRequest: ListContainerStatsRequestInit;
  ContainerStatsFilter: ContainerStatsFilterInit;
  ListContainerStatsResponse: ListContainerStatsResponseInit;
  StreamContainerStatsRequest: StreamContainerStatsRequestInit;
  StreamContainerStatsResponse: StreamContainerStatsResponseInit;
  ContainerAttributes: ContainerAttributesInit;
  ContainerStats: ContainerStatsInit;
  WindowsContainerStats: WindowsContainerStatsInit;
  PsiStats: PsiStatsInit;
  PsiData: PsiDataInit;
  CpuUsage: CpuUsageInit;
  WindowsCpuUsage: WindowsCpuUsageInit;
  MemoryUsage: MemoryUsageInit;
  IoUsage: IoUsageInit;
  SwapUsage: SwapUsageInit;
  WindowsMemoryUsage: WindowsMemoryUsageInit;
  ReopenContainerLogRequest: ReopenContainerLogRequestInit;
  ReopenContainerLogResponse: ReopenContainerLogResponseInit;
  CheckpointContainerRequest: CheckpointContainerRequestInit;
  CheckpointContainerResponse: CheckpointContainerResponseInit;
  CheckpointPodRequest: CheckpointPodRequestInit;
  CheckpointPodResponse: CheckpointPodResponseInit;
  RestorePodRequest: RestorePodRequestInit;
  RestoredContainer: RestoredContainerInit;
  RestorePodResponse: RestorePodResponseInit;
  GetEventsRequest: GetEventsRequestInit;
  ContainerEventResponse: ContainerEventResponseInit;
  ListMetricDescriptorsRequest: ListMetricDescriptorsRequestInit;
  ListMetricDescriptorsResponse: ListMetricDescriptorsResponseInit;
  MetricDescriptor: MetricDescriptorInit;
  ListPodSandboxMetricsRequest: ListPodSandboxMetricsRequestInit;
  ListPodSandboxMetricsResponse: ListPodSandboxMetricsResponseInit;
  StreamPodSandboxMetricsRequest: StreamPodSandboxMetricsRequestInit;
  StreamPodSandboxMetricsResponse: StreamPodSandboxMetricsResponseInit;
  PodSandboxMetrics: PodSandboxMetricsInit;
  ContainerMetrics: ContainerMetricsInit;
  Metric: MetricInit;
  RuntimeConfigRequest: RuntimeConfigRequestInit;
  RuntimeConfigResponse: RuntimeConfigResponseInit;
  LinuxRuntimeConfiguration: LinuxRuntimeConfigurationInit;
  UpdatePodSandboxResourcesRequest: UpdatePodSandboxResourcesRequestInit;
  UpdatePodSandboxResourcesResponse: UpdatePodSandboxResourcesResponseInit;
}

export type MessageName = keyof Messages;
