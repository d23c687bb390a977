// Made by `node proto/generate.ts` from proto/nri/v1alpha1/api.proto. Do not edit.
//
// X is a decoded message: every field is present; an absent message is undefined, lists and maps are frozen when empty.
// XInit is what encode() takes: every field is optional, and a default value is the same as an absent one.
// Enum fields are open: a client of a later version may send a number that has no name here.

import type { Event, ContainerState, SecurityProfile_ProfileType, IOPrioClass, LinuxSchedulerPolicy, LinuxSchedulerFlag, MpolMode, MpolFlag, Field } from './nri.ts';

export interface RegisterPluginRequest {
  plugin_name: string;
  plugin_idx: string;
  NRI_version: string;
}
export interface RegisterPluginRequestInit {
  plugin_name?: string | undefined;
  plugin_idx?: string | undefined;
  NRI_version?: string | undefined;
}

export interface UpdateContainersRequest {
  update: readonly ContainerUpdate[];
  evict: readonly ContainerEviction[];
}
export interface UpdateContainersRequestInit {
  update?: readonly ContainerUpdateInit[] | undefined;
  evict?: readonly ContainerEvictionInit[] | undefined;
}

export interface UpdateContainersResponse {
  failed: readonly ContainerUpdate[];
}
export interface UpdateContainersResponseInit {
  failed?: readonly ContainerUpdateInit[] | undefined;
}

export interface ConfigureRequest {
  config: string;
  runtime_name: string;
  runtime_version: string;
  registration_timeout: bigint;
  request_timeout: bigint;
  NRI_version: string;
}
export interface ConfigureRequestInit {
  config?: string | undefined;
  runtime_name?: string | undefined;
  runtime_version?: string | undefined;
  registration_timeout?: bigint | undefined;
  request_timeout?: bigint | undefined;
  NRI_version?: string | undefined;
}

export interface ConfigureResponse {
  events: number;
  failure_policy: FailurePolicy | undefined;
}
export interface ConfigureResponseInit {
  events?: number | undefined;
  failure_policy?: FailurePolicyInit | undefined;
}

export interface FailurePolicy {
  fail_request: boolean;
  keep_connected: boolean;
}
export interface FailurePolicyInit {
  fail_request?: boolean | undefined;
  keep_connected?: boolean | undefined;
}

export interface SynchronizeRequest {
  pods: readonly PodSandbox[];
  containers: readonly Container[];
  more: boolean;
}
export interface SynchronizeRequestInit {
  pods?: readonly PodSandboxInit[] | undefined;
  containers?: readonly ContainerInit[] | undefined;
  more?: boolean | undefined;
}

export interface SynchronizeResponse {
  update: readonly ContainerUpdate[];
  more: boolean;
}
export interface SynchronizeResponseInit {
  update?: readonly ContainerUpdateInit[] | undefined;
  more?: boolean | undefined;
}

export interface RunPodSandboxRequest {
  pod: PodSandbox | undefined;
}
export interface RunPodSandboxRequestInit {
  pod?: PodSandboxInit | undefined;
}

export type RunPodSandboxResponse = Record<never, never>;
export type RunPodSandboxResponseInit = Record<never, never>;

export interface UpdatePodSandboxRequest {
  pod: PodSandbox | undefined;
  overhead_linux_resources: LinuxResources | undefined;
  linux_resources: LinuxResources | undefined;
}
export interface UpdatePodSandboxRequestInit {
  pod?: PodSandboxInit | undefined;
  overhead_linux_resources?: LinuxResourcesInit | undefined;
  linux_resources?: LinuxResourcesInit | undefined;
}

export type UpdatePodSandboxResponse = Record<never, never>;
export type UpdatePodSandboxResponseInit = Record<never, never>;

export interface PostUpdatePodSandboxRequest {
  pod: PodSandbox | undefined;
}
export interface PostUpdatePodSandboxRequestInit {
  pod?: PodSandboxInit | undefined;
}

export type PostUpdatePodSandboxResponse = Record<never, never>;
export type PostUpdatePodSandboxResponseInit = Record<never, never>;

export interface StopPodSandboxRequest {
  pod: PodSandbox | undefined;
}
export interface StopPodSandboxRequestInit {
  pod?: PodSandboxInit | undefined;
}

export type StopPodSandboxResponse = Record<never, never>;
export type StopPodSandboxResponseInit = Record<never, never>;

export interface RemovePodSandboxRequest {
  pod: PodSandbox | undefined;
}
export interface RemovePodSandboxRequestInit {
  pod?: PodSandboxInit | undefined;
}

export type RemovePodSandboxResponse = Record<never, never>;
export type RemovePodSandboxResponseInit = Record<never, never>;

export interface CreateContainerRequest {
  pod: PodSandbox | undefined;
  container: Container | undefined;
}
export interface CreateContainerRequestInit {
  pod?: PodSandboxInit | undefined;
  container?: ContainerInit | undefined;
}

export interface CreateContainerResponse {
  adjust: ContainerAdjustment | undefined;
  update: readonly ContainerUpdate[];
  evict: readonly ContainerEviction[];
}
export interface CreateContainerResponseInit {
  adjust?: ContainerAdjustmentInit | undefined;
  update?: readonly ContainerUpdateInit[] | undefined;
  evict?: readonly ContainerEvictionInit[] | undefined;
}

export interface PostCreateContainerRequest {
  pod: PodSandbox | undefined;
  container: Container | undefined;
}
export interface PostCreateContainerRequestInit {
  pod?: PodSandboxInit | undefined;
  container?: ContainerInit | undefined;
}

export type PostCreateContainerResponse = Record<never, never>;
export type PostCreateContainerResponseInit = Record<never, never>;

export interface StartContainerRequest {
  pod: PodSandbox | undefined;
  container: Container | undefined;
}
export interface StartContainerRequestInit {
  pod?: PodSandboxInit | undefined;
  container?: ContainerInit | undefined;
}

export type StartContainerResponse = Record<never, never>;
export type StartContainerResponseInit = Record<never, never>;

export interface PostStartContainerRequest {
  pod: PodSandbox | undefined;
  container: Container | undefined;
}
export interface PostStartContainerRequestInit {
  pod?: PodSandboxInit | undefined;
  container?: ContainerInit | undefined;
}

export type PostStartContainerResponse = Record<never, never>;
export type PostStartContainerResponseInit = Record<never, never>;

export interface UpdateContainerRequest {
  pod: PodSandbox | undefined;
  container: Container | undefined;
  linux_resources: LinuxResources | undefined;
}
export interface UpdateContainerRequestInit {
  pod?: PodSandboxInit | undefined;
  container?: ContainerInit | undefined;
  linux_resources?: LinuxResourcesInit | undefined;
}

export interface UpdateContainerResponse {
  update: readonly ContainerUpdate[];
  evict: readonly ContainerEviction[];
}
export interface UpdateContainerResponseInit {
  update?: readonly ContainerUpdateInit[] | undefined;
  evict?: readonly ContainerEvictionInit[] | undefined;
}

export interface PostUpdateContainerRequest {
  pod: PodSandbox | undefined;
  container: Container | undefined;
}
export interface PostUpdateContainerRequestInit {
  pod?: PodSandboxInit | undefined;
  container?: ContainerInit | undefined;
}

export type PostUpdateContainerResponse = Record<never, never>;
export type PostUpdateContainerResponseInit = Record<never, never>;

export interface StopContainerRequest {
  pod: PodSandbox | undefined;
  container: Container | undefined;
}
export interface StopContainerRequestInit {
  pod?: PodSandboxInit | undefined;
  container?: ContainerInit | undefined;
}

export interface StopContainerResponse {
  update: readonly ContainerUpdate[];
}
export interface StopContainerResponseInit {
  update?: readonly ContainerUpdateInit[] | undefined;
}

export interface RemoveContainerRequest {
  pod: PodSandbox | undefined;
  container: Container | undefined;
}
export interface RemoveContainerRequestInit {
  pod?: PodSandboxInit | undefined;
  container?: ContainerInit | undefined;
}

export type RemoveContainerResponse = Record<never, never>;
export type RemoveContainerResponseInit = Record<never, never>;

export interface StateChangeEvent {
  event: Event;
  pod: PodSandbox | undefined;
  container: Container | undefined;
}
export interface StateChangeEventInit {
  event?: Event | undefined;
  pod?: PodSandboxInit | undefined;
  container?: ContainerInit | undefined;
}

export interface ValidateContainerAdjustmentRequest {
  pod: PodSandbox | undefined;
  container: Container | undefined;
  adjust: ContainerAdjustment | undefined;
  update: readonly ContainerUpdate[];
  owners: OwningPlugins | undefined;
  plugins: readonly PluginInstance[];
}
export interface ValidateContainerAdjustmentRequestInit {
  pod?: PodSandboxInit | undefined;
  container?: ContainerInit | undefined;
  adjust?: ContainerAdjustmentInit | undefined;
  update?: readonly ContainerUpdateInit[] | undefined;
  owners?: OwningPluginsInit | undefined;
  plugins?: readonly PluginInstanceInit[] | undefined;
}

export interface PluginInstance {
  name: string;
  index: string;
}
export interface PluginInstanceInit {
  name?: string | undefined;
  index?: string | undefined;
}

export interface ValidateContainerAdjustmentResponse {
  reject: boolean;
  reason: string;
}
export interface ValidateContainerAdjustmentResponseInit {
  reject?: boolean | undefined;
  reason?: string | undefined;
}

export type Empty = Record<never, never>;
export type EmptyInit = Record<never, never>;

export interface PodSandbox {
  id: string;
  name: string;
  uid: string;
  namespace: string;
  labels: { readonly [key: string]: string };
  annotations: { readonly [key: string]: string };
  runtime_handler: string;
  linux: LinuxPodSandbox | undefined;
  pid: number;
  ips: readonly string[];
}
export interface PodSandboxInit {
  id?: string | undefined;
  name?: string | undefined;
  uid?: string | undefined;
  namespace?: string | undefined;
  labels?: { readonly [key: string]: string } | undefined;
  annotations?: { readonly [key: string]: string } | undefined;
  runtime_handler?: string | undefined;
  linux?: LinuxPodSandboxInit | undefined;
  pid?: number | undefined;
  ips?: readonly string[] | undefined;
}

export interface LinuxPodSandbox {
  pod_overhead: LinuxResources | undefined;
  pod_resources: LinuxResources | undefined;
  cgroup_parent: string;
  cgroups_path: string;
  namespaces: readonly LinuxNamespace[];
  resources: LinuxResources | undefined;
}
export interface LinuxPodSandboxInit {
  pod_overhead?: LinuxResourcesInit | undefined;
  pod_resources?: LinuxResourcesInit | undefined;
  cgroup_parent?: string | undefined;
  cgroups_path?: string | undefined;
  namespaces?: readonly LinuxNamespaceInit[] | undefined;
  resources?: LinuxResourcesInit | undefined;
}

export interface Container {
  id: string;
  pod_sandbox_id: string;
  name: string;
  state: ContainerState;
  labels: { readonly [key: string]: string };
  annotations: { readonly [key: string]: string };
  args: readonly string[];
  env: readonly string[];
  mounts: readonly Mount[];
  hooks: Hooks | undefined;
  linux: LinuxContainer | undefined;
  pid: number;
  rlimits: readonly POSIXRlimit[];
  created_at: bigint;
  started_at: bigint;
  finished_at: bigint;
  exit_code: number;
  status_reason: string;
  status_message: string;
  CDI_devices: readonly CDIDevice[];
  user: User | undefined;
  image: Image | undefined;
}
export interface ContainerInit {
  id?: string | undefined;
  pod_sandbox_id?: string | undefined;
  name?: string | undefined;
  state?: ContainerState | undefined;
  labels?: { readonly [key: string]: string } | undefined;
  annotations?: { readonly [key: string]: string } | undefined;
  args?: readonly string[] | undefined;
  env?: readonly string[] | undefined;
  mounts?: readonly MountInit[] | undefined;
  hooks?: HooksInit | undefined;
  linux?: LinuxContainerInit | undefined;
  pid?: number | undefined;
  rlimits?: readonly POSIXRlimitInit[] | undefined;
  created_at?: bigint | undefined;
  started_at?: bigint | undefined;
  finished_at?: bigint | undefined;
  exit_code?: number | undefined;
  status_reason?: string | undefined;
  status_message?: string | undefined;
  CDI_devices?: readonly CDIDeviceInit[] | undefined;
  user?: UserInit | undefined;
  image?: ImageInit | undefined;
}

export interface Image {
  name: string;
  digest: string;
  config_digest: string;
}
export interface ImageInit {
  name?: string | undefined;
  digest?: string | undefined;
  config_digest?: string | undefined;
}

export interface Mount {
  destination: string;
  type: string;
  source: string;
  options: readonly string[];
}
export interface MountInit {
  destination?: string | undefined;
  type?: string | undefined;
  source?: string | undefined;
  options?: readonly string[] | undefined;
}

export interface Hooks {
  prestart: readonly Hook[];
  create_runtime: readonly Hook[];
  create_container: readonly Hook[];
  start_container: readonly Hook[];
  poststart: readonly Hook[];
  poststop: readonly Hook[];
}
export interface HooksInit {
  prestart?: readonly HookInit[] | undefined;
  create_runtime?: readonly HookInit[] | undefined;
  create_container?: readonly HookInit[] | undefined;
  start_container?: readonly HookInit[] | undefined;
  poststart?: readonly HookInit[] | undefined;
  poststop?: readonly HookInit[] | undefined;
}

export interface Hook {
  path: string;
  args: readonly string[];
  env: readonly string[];
  timeout: OptionalInt | undefined;
}
export interface HookInit {
  path?: string | undefined;
  args?: readonly string[] | undefined;
  env?: readonly string[] | undefined;
  timeout?: OptionalIntInit | undefined;
}

export interface LinuxContainer {
  namespaces: readonly LinuxNamespace[];
  devices: readonly LinuxDevice[];
  resources: LinuxResources | undefined;
  oom_score_adj: OptionalInt | undefined;
  cgroups_path: string;
  io_priority: LinuxIOPriority | undefined;
  seccomp_profile: SecurityProfile | undefined;
  seccomp_policy: LinuxSeccomp | undefined;
  sysctl: { readonly [key: string]: string };
  net_devices: { readonly [key: string]: LinuxNetDevice };
  scheduler: LinuxScheduler | undefined;
  rdt: LinuxRdt | undefined;
}
export interface LinuxContainerInit {
  namespaces?: readonly LinuxNamespaceInit[] | undefined;
  devices?: readonly LinuxDeviceInit[] | undefined;
  resources?: LinuxResourcesInit | undefined;
  oom_score_adj?: OptionalIntInit | undefined;
  cgroups_path?: string | undefined;
  io_priority?: LinuxIOPriorityInit | undefined;
  seccomp_profile?: SecurityProfileInit | undefined;
  seccomp_policy?: LinuxSeccompInit | undefined;
  sysctl?: { readonly [key: string]: string } | undefined;
  net_devices?: { readonly [key: string]: LinuxNetDeviceInit } | undefined;
  scheduler?: LinuxSchedulerInit | undefined;
  rdt?: LinuxRdtInit | undefined;
}

export interface LinuxNamespace {
  type: string;
  path: string;
}
export interface LinuxNamespaceInit {
  type?: string | undefined;
  path?: string | undefined;
}

export interface LinuxDevice {
  path: string;
  type: string;
  major: bigint;
  minor: bigint;
  file_mode: OptionalFileMode | undefined;
  uid: OptionalUInt32 | undefined;
  gid: OptionalUInt32 | undefined;
}
export interface LinuxDeviceInit {
  path?: string | undefined;
  type?: string | undefined;
  major?: bigint | undefined;
  minor?: bigint | undefined;
  file_mode?: OptionalFileModeInit | undefined;
  uid?: OptionalUInt32Init | undefined;
  gid?: OptionalUInt32Init | undefined;
}

export interface LinuxDeviceCgroup {
  allow: boolean;
  type: string;
  major: OptionalInt64 | undefined;
  minor: OptionalInt64 | undefined;
  access: string;
}
export interface LinuxDeviceCgroupInit {
  allow?: boolean | undefined;
  type?: string | undefined;
  major?: OptionalInt64Init | undefined;
  minor?: OptionalInt64Init | undefined;
  access?: string | undefined;
}

export interface CDIDevice {
  name: string;
}
export interface CDIDeviceInit {
  name?: string | undefined;
}

export interface User {
  uid: number;
  gid: number;
  additional_gids: readonly number[];
}
export interface UserInit {
  uid?: number | undefined;
  gid?: number | undefined;
  additional_gids?: readonly number[] | undefined;
}

export interface LinuxResources {
  memory: LinuxMemory | undefined;
  cpu: LinuxCPU | undefined;
  hugepage_limits: readonly HugepageLimit[];
  blockio_class: OptionalString | undefined;
  rdt_class: OptionalString | undefined;
  unified: { readonly [key: string]: string };
  devices: readonly LinuxDeviceCgroup[];
  pids: LinuxPids | undefined;
}
export interface LinuxResourcesInit {
  memory?: LinuxMemoryInit | undefined;
  cpu?: LinuxCPUInit | undefined;
  hugepage_limits?: readonly HugepageLimitInit[] | undefined;
  blockio_class?: OptionalStringInit | undefined;
  rdt_class?: OptionalStringInit | undefined;
  unified?: { readonly [key: string]: string } | undefined;
  devices?: readonly LinuxDeviceCgroupInit[] | undefined;
  pids?: LinuxPidsInit | undefined;
}

export interface LinuxMemory {
  limit: OptionalInt64 | undefined;
  reservation: OptionalInt64 | undefined;
  swap: OptionalInt64 | undefined;
  kernel: OptionalInt64 | undefined;
  kernel_tcp: OptionalInt64 | undefined;
  swappiness: OptionalUInt64 | undefined;
  disable_oom_killer: OptionalBool | undefined;
  use_hierarchy: OptionalBool | undefined;
}
export interface LinuxMemoryInit {
  limit?: OptionalInt64Init | undefined;
  reservation?: OptionalInt64Init | undefined;
  swap?: OptionalInt64Init | undefined;
  kernel?: OptionalInt64Init | undefined;
  kernel_tcp?: OptionalInt64Init | undefined;
  swappiness?: OptionalUInt64Init | undefined;
  disable_oom_killer?: OptionalBoolInit | undefined;
  use_hierarchy?: OptionalBoolInit | undefined;
}

export interface LinuxCPU {
  shares: OptionalUInt64 | undefined;
  quota: OptionalInt64 | undefined;
  period: OptionalUInt64 | undefined;
  realtime_runtime: OptionalInt64 | undefined;
  realtime_period: OptionalUInt64 | undefined;
  cpus: string;
  mems: string;
}
export interface LinuxCPUInit {
  shares?: OptionalUInt64Init | undefined;
  quota?: OptionalInt64Init | undefined;
  period?: OptionalUInt64Init | undefined;
  realtime_runtime?: OptionalInt64Init | undefined;
  realtime_period?: OptionalUInt64Init | undefined;
  cpus?: string | undefined;
  mems?: string | undefined;
}

export interface HugepageLimit {
  page_size: string;
  limit: bigint;
}
export interface HugepageLimitInit {
  page_size?: string | undefined;
  limit?: bigint | undefined;
}

export interface SecurityProfile {
  profile_type: SecurityProfile_ProfileType;
  localhost_ref: string;
}
export interface SecurityProfileInit {
  profile_type?: SecurityProfile_ProfileType | undefined;
  localhost_ref?: string | undefined;
}

export interface POSIXRlimit {
  type: string;
  hard: bigint;
  soft: bigint;
}
export interface POSIXRlimitInit {
  type?: string | undefined;
  hard?: bigint | undefined;
  soft?: bigint | undefined;
}

export interface LinuxPids {
  limit: bigint;
}
export interface LinuxPidsInit {
  limit?: bigint | undefined;
}

export interface LinuxIOPriority {
  class: IOPrioClass;
  priority: number;
}
export interface LinuxIOPriorityInit {
  class?: IOPrioClass | undefined;
  priority?: number | undefined;
}

export interface LinuxNetDevice {
  name: string;
}
export interface LinuxNetDeviceInit {
  name?: string | undefined;
}

export interface LinuxScheduler {
  policy: LinuxSchedulerPolicy;
  nice: number;
  priority: number;
  flags: readonly LinuxSchedulerFlag[];
  runtime: bigint;
  deadline: bigint;
  period: bigint;
}
export interface LinuxSchedulerInit {
  policy?: LinuxSchedulerPolicy | undefined;
  nice?: number | undefined;
  priority?: number | undefined;
  flags?: readonly LinuxSchedulerFlag[] | undefined;
  runtime?: bigint | undefined;
  deadline?: bigint | undefined;
  period?: bigint | undefined;
}

export interface ContainerAdjustment {
  annotations: { readonly [key: string]: string };
  mounts: readonly Mount[];
  env: readonly KeyValue[];
  hooks: Hooks | undefined;
  linux: LinuxContainerAdjustment | undefined;
  rlimits: readonly POSIXRlimit[];
  CDI_devices: readonly CDIDevice[];
  args: readonly string[];
}
export interface ContainerAdjustmentInit {
  annotations?: { readonly [key: string]: string } | undefined;
  mounts?: readonly MountInit[] | undefined;
  env?: readonly KeyValueInit[] | undefined;
  hooks?: HooksInit | undefined;
  linux?: LinuxContainerAdjustmentInit | undefined;
  rlimits?: readonly POSIXRlimitInit[] | undefined;
  CDI_devices?: readonly CDIDeviceInit[] | undefined;
  args?: readonly string[] | undefined;
}

export interface LinuxContainerAdjustment {
  devices: readonly LinuxDevice[];
  resources: LinuxResources | undefined;
  cgroups_path: string;
  oom_score_adj: OptionalInt | undefined;
  io_priority: LinuxIOPriority | undefined;
  seccomp_policy: LinuxSeccomp | undefined;
  namespaces: readonly LinuxNamespace[];
  sysctl: { readonly [key: string]: string };
  net_devices: { readonly [key: string]: LinuxNetDevice };
  scheduler: LinuxScheduler | undefined;
  rdt: LinuxRdt | undefined;
  memory_policy: LinuxMemoryPolicy | undefined;
}
export interface LinuxContainerAdjustmentInit {
  devices?: readonly LinuxDeviceInit[] | undefined;
  resources?: LinuxResourcesInit | undefined;
  cgroups_path?: string | undefined;
  oom_score_adj?: OptionalIntInit | undefined;
  io_priority?: LinuxIOPriorityInit | undefined;
  seccomp_policy?: LinuxSeccompInit | undefined;
  namespaces?: readonly LinuxNamespaceInit[] | undefined;
  sysctl?: { readonly [key: string]: string } | undefined;
  net_devices?: { readonly [key: string]: LinuxNetDeviceInit } | undefined;
  scheduler?: LinuxSchedulerInit | undefined;
  rdt?: LinuxRdtInit | undefined;
  memory_policy?: LinuxMemoryPolicyInit | undefined;
}

export interface LinuxSeccomp {
  default_action: string;
  default_errno: OptionalUInt32 | undefined;
  architectures: readonly string[];
  flags: readonly string[];
  listener_path: string;
  listener_metadata: string;
  syscalls: readonly LinuxSyscall[];
}
export interface LinuxSeccompInit {
  default_action?: string | undefined;
  default_errno?: OptionalUInt32Init | undefined;
  architectures?: readonly string[] | undefined;
  flags?: readonly string[] | undefined;
  listener_path?: string | undefined;
  listener_metadata?: string | undefined;
  syscalls?: readonly LinuxSyscallInit[] | undefined;
}

export interface LinuxSyscall {
  names: readonly string[];
  action: string;
  errno_ret: OptionalUInt32 | undefined;
  args: readonly LinuxSeccompArg[];
}
export interface LinuxSyscallInit {
  names?: readonly string[] | undefined;
  action?: string | undefined;
  errno_ret?: OptionalUInt32Init | undefined;
  args?: readonly LinuxSeccompArgInit[] | undefined;
}

export interface LinuxSeccompArg {
  index: number;
  value: bigint;
  value_two: bigint;
  op: string;
}
export interface LinuxSeccompArgInit {
  index?: number | undefined;
  value?: bigint | undefined;
  value_two?: bigint | undefined;
  op?: string | undefined;
}

export interface LinuxMemoryPolicy {
  mode: MpolMode;
  nodes: string;
  flags: readonly MpolFlag[];
}
export interface LinuxMemoryPolicyInit {
  mode?: MpolMode | undefined;
  nodes?: string | undefined;
  flags?: readonly MpolFlag[] | undefined;
}

export interface ContainerUpdate {
  container_id: string;
  linux: LinuxContainerUpdate | undefined;
  ignore_failure: boolean;
}
export interface ContainerUpdateInit {
  container_id?: string | undefined;
  linux?: LinuxContainerUpdateInit | undefined;
  ignore_failure?: boolean | undefined;
}

export interface LinuxContainerUpdate {
  resources: LinuxResources | undefined;
}
export interface LinuxContainerUpdateInit {
  resources?: LinuxResourcesInit | undefined;
}

export interface ContainerEviction {
  container_id: string;
  reason: string;
}
export interface ContainerEvictionInit {
  container_id?: string | undefined;
  reason?: string | undefined;
}

export interface LinuxRdt {
  clos_id: OptionalString | undefined;
  schemata: OptionalRepeatedString | undefined;
  enable_monitoring: OptionalBool | undefined;
  remove: boolean;
}
export interface LinuxRdtInit {
  clos_id?: OptionalStringInit | undefined;
  schemata?: OptionalRepeatedStringInit | undefined;
  enable_monitoring?: OptionalBoolInit | undefined;
  remove?: boolean | undefined;
}

export interface KeyValue {
  key: string;
  value: string;
}
export interface KeyValueInit {
  key?: string | undefined;
  value?: string | undefined;
}

export interface OptionalString {
  value: string;
}
export interface OptionalStringInit {
  value?: string | undefined;
}

export interface OptionalRepeatedString {
  value: readonly string[];
}
export interface OptionalRepeatedStringInit {
  value?: readonly string[] | undefined;
}

export interface OptionalInt {
  value: bigint;
}
export interface OptionalIntInit {
  value?: bigint | undefined;
}

export interface OptionalInt32 {
  value: number;
}
export interface OptionalInt32Init {
  value?: number | undefined;
}

export interface OptionalUInt32 {
  value: number;
}
export interface OptionalUInt32Init {
  value?: number | undefined;
}

export interface OptionalInt64 {
  value: bigint;
}
export interface OptionalInt64Init {
  value?: bigint | undefined;
}

export interface OptionalUInt64 {
  value: bigint;
}
export interface OptionalUInt64Init {
  value?: bigint | undefined;
}

export interface OptionalBool {
  value: boolean;
}
export interface OptionalBoolInit {
  value?: boolean | undefined;
}

export interface OptionalFileMode {
  value: number;
}
export interface OptionalFileModeInit {
  value?: number | undefined;
}

export interface CompoundFieldOwners {
  owners: { readonly [key: string]: string };
}
export interface CompoundFieldOwnersInit {
  owners?: { readonly [key: string]: string } | undefined;
}

export interface FieldOwners {
  simple: { readonly [key: number]: string };
  compound: { readonly [key: number]: CompoundFieldOwners };
}
export interface FieldOwnersInit {
  simple?: { readonly [key: number]: string } | undefined;
  compound?: { readonly [key: number]: CompoundFieldOwnersInit } | undefined;
}

export interface OwningPlugins {
  owners: { readonly [key: string]: FieldOwners };
}
export interface OwningPluginsInit {
  owners?: { readonly [key: string]: FieldOwnersInit } | undefined;
}

/** Decoded messages by name. */
export interface Messages {
  RegisterPluginRequest: RegisterPluginRequest;
  UpdateContainersRequest: UpdateContainersRequest;
  UpdateContainersResponse: UpdateContainersResponse;
  ConfigureRequest: ConfigureRequest;
  ConfigureResponse: ConfigureResponse;
  FailurePolicy: FailurePolicy;
  SynchronizeRequest: SynchronizeRequest;
  SynchronizeResponse: SynchronizeResponse;
  RunPodSandboxRequest: RunPodSandboxRequest;
  RunPodSandboxResponse: RunPodSandboxResponse;
  UpdatePodSandboxRequest: UpdatePodSandboxRequest;
  UpdatePodSandboxResponse: UpdatePodSandboxResponse;
  PostUpdatePodSandboxRequest: PostUpdatePodSandboxRequest;
  PostUpdatePodSandboxResponse: PostUpdatePodSandboxResponse;
  StopPodSandboxRequest: StopPodSandboxRequest;
  StopPodSandboxResponse: StopPodSandboxResponse;
  RemovePodSandboxRequest: RemovePodSandboxRequest;
  RemovePodSandboxResponse: RemovePodSandboxResponse;
  CreateContainerRequest: CreateContainerRequest;
  CreateContainerResponse: CreateContainerResponse;
  PostCreateContainerRequest: PostCreateContainerRequest;
  PostCreateContainerResponse: PostCreateContainerResponse;
  StartContainerRequest: StartContainerRequest;
  StartContainerResponse: StartContainerResponse;
  PostStartContainerRequest: PostStartContainerRequest;
  PostStartContainerResponse: PostStartContainerResponse;
  UpdateContainerRequest: UpdateContainerRequest;
  UpdateContainerResponse: UpdateContainerResponse;
  PostUpdateContainerRequest: PostUpdateContainerRequest;
  PostUpdateContainerResponse: PostUpdateContainerResponse;
  StopContainerRequest: StopContainerRequest;
  StopContainerResponse: StopContainerResponse;
  RemoveContainerRequest: RemoveContainerRequest;
  RemoveContainerResponse: RemoveContainerResponse;
  StateChangeEvent: StateChangeEvent;
  ValidateContainerAdjustmentRequest: ValidateContainerAdjustmentRequest;
  PluginInstance: PluginInstance;
  ValidateContainerAdjustmentResponse: ValidateContainerAdjustmentResponse;
  Empty: Empty;
  PodSandbox: PodSandbox;
  LinuxPodSandbox: LinuxPodSandbox;
  Container: Container;
  Image: Image;
  Mount: Mount;
  Hooks: Hooks;
  Hook: Hook;
  LinuxContainer: LinuxContainer;
  LinuxNamespace: LinuxNamespace;
  LinuxDevice: LinuxDevice;
  LinuxDeviceCgroup: LinuxDeviceCgroup;
  CDIDevice: CDIDevice;
  User: User;
  LinuxResources: LinuxResources;
  LinuxMemory: LinuxMemory;
  LinuxCPU: LinuxCPU;
  HugepageLimit: HugepageLimit;
  SecurityProfile: SecurityProfile;
  POSIXRlimit: POSIXRlimit;
  LinuxPids: LinuxPids;
  LinuxIOPriority: LinuxIOPriority;
  LinuxNetDevice: LinuxNetDevice;
  LinuxScheduler: LinuxScheduler;
  ContainerAdjustment: ContainerAdjustment;
  LinuxContainerAdjustment: LinuxContainerAdjustment;
  LinuxSeccomp: LinuxSeccomp;
  LinuxSyscall: LinuxSyscall;
  LinuxSeccompArg: LinuxSeccompArg;
  LinuxMemoryPolicy: LinuxMemoryPolicy;
  ContainerUpdate: ContainerUpdate;
  LinuxContainerUpdate: LinuxContainerUpdate;
  ContainerEviction: ContainerEviction;
  LinuxRdt: LinuxRdt;
  KeyValue: KeyValue;
  OptionalString: OptionalString;
  OptionalRepeatedString: OptionalRepeatedString;
  OptionalInt: OptionalInt;
  OptionalInt32: OptionalInt32;
  OptionalUInt32: OptionalUInt32;
  OptionalInt64: OptionalInt64;
  OptionalUInt64: OptionalUInt64;
  OptionalBool: OptionalBool;
  OptionalFileMode: OptionalFileMode;
  CompoundFieldOwners: CompoundFieldOwners;
  FieldOwners: FieldOwners;
  OwningPlugins: OwningPlugins;
}

/** Messages to encode by name. */
export interface MessageInits {
  RegisterPluginRequest: RegisterPluginRequestInit;
  UpdateContainersRequest: UpdateContainersRequestInit;
  UpdateContainersResponse: UpdateContainersResponseInit;
  ConfigureRequest: ConfigureRequestInit;
  ConfigureResponse: ConfigureResponseInit;
  FailurePolicy: FailurePolicyInit;
  SynchronizeRequest: SynchronizeRequestInit;
  SynchronizeResponse: SynchronizeResponseInit;
  RunPodSandboxRequest: RunPodSandboxRequestInit;
  RunPodSandboxResponse: RunPodSandboxResponseInit;
  UpdatePodSandboxRequest: UpdatePodSandboxRequestInit;
  UpdatePodSandboxResponse: UpdatePodSandboxResponseInit;
  PostUpdatePodSandboxRequest: PostUpdatePodSandboxRequestInit;
  PostUpdatePodSandboxResponse: PostUpdatePodSandboxResponseInit;
  StopPodSandboxRequest: StopPodSandboxRequestInit;
  StopPodSandboxResponse: StopPodSandboxResponseInit;
  RemovePodSandboxRequest: RemovePodSandboxRequestInit;
  RemovePodSandboxResponse: RemovePodSandboxResponseInit;
  CreateContainerRequest: CreateContainerRequestInit;
  CreateContainerResponse: CreateContainerResponseInit;
  PostCreateContainerRequest: PostCreateContainerRequestInit;
  PostCreateContainerResponse: PostCreateContainerResponseInit;
  StartContainerRequest: StartContainerRequestInit;
  StartContainerResponse: StartContainerResponseInit;
  PostStartContainerRequest: PostStartContainerRequestInit;
  PostStartContainerResponse: PostStartContainerResponseInit;
  UpdateContainerRequest: UpdateContainerRequestInit;
  UpdateContainerResponse: UpdateContainerResponseInit;
  PostUpdateContainerRequest: PostUpdateContainerRequestInit;
  PostUpdateContainerResponse: PostUpdateContainerResponseInit;
  StopContainerRequest: StopContainerRequestInit;
  StopContainerResponse: StopContainerResponseInit;
  RemoveContainerRequest: RemoveContainerRequestInit;
  RemoveContainerResponse: RemoveContainerResponseInit;
  StateChangeEvent: StateChangeEventInit;
  ValidateContainerAdjustmentRequest: ValidateContainerAdjustmentRequestInit;
  PluginInstance: PluginInstanceInit;
  ValidateContainerAdjustmentResponse: ValidateContainerAdjustmentResponseInit;
  Empty: EmptyInit;
  PodSandbox: PodSandboxInit;
  LinuxPodSandbox: LinuxPodSandboxInit;
  Container: ContainerInit;
  Image: ImageInit;
  Mount: MountInit;
  Hooks: HooksInit;
  Hook: HookInit;
  LinuxContainer: LinuxContainerInit;
  LinuxNamespace: LinuxNamespaceInit;
  LinuxDevice: LinuxDeviceInit;
  LinuxDeviceCgroup: LinuxDeviceCgroupInit;
  CDIDevice: CDIDeviceInit;
  User: UserInit;
  LinuxResources: LinuxResourcesInit;
  LinuxMemory: LinuxMemoryInit;
  LinuxCPU: LinuxCPUInit;
  HugepageLimit: HugepageLimitInit;
  SecurityProfile: SecurityProfileInit;
  POSIXRlimit: POSIXRlimitInit;
  LinuxPids: LinuxPidsInit;
  LinuxIOPriority: LinuxIOPriorityInit;
  LinuxNetDevice: LinuxNetDeviceInit;
  LinuxScheduler: LinuxSchedulerInit;
  ContainerAdjustment: ContainerAdjustmentInit;
  LinuxContainerAdjustment: LinuxContainerAdjustmentInit;
  LinuxSeccomp: LinuxSeccompInit;
  LinuxSyscall: LinuxSyscallInit;
  LinuxSeccompArg: LinuxSeccompArgInit;
  LinuxMemoryPolicy: LinuxMemoryPolicyInit;
  ContainerUpdate: ContainerUpdateInit;
  LinuxContainerUpdate: LinuxContainerUpdateInit;
  ContainerEviction: ContainerEvictionInit;
  LinuxRdt: LinuxRdtInit;
  KeyValue: KeyValueInit;
  OptionalString: OptionalStringInit;
  OptionalRepeatedString: OptionalRepeatedStringInit;
  OptionalInt: OptionalIntInit;
  OptionalInt32: OptionalInt32Init;
  OptionalUInt32: OptionalUInt32Init;
  OptionalInt64: OptionalInt64Init;
  OptionalUInt64: OptionalUInt64Init;
  OptionalBool: OptionalBoolInit;
  OptionalFileMode: OptionalFileModeInit;
  CompoundFieldOwners: CompoundFieldOwnersInit;
  FieldOwners: FieldOwnersInit;
  OwningPlugins: OwningPluginsInit;
}

export type MessageName = keyof Messages;
