// Made by `node proto/generate.ts` from proto/nri/v1alpha1/api.proto. Do not edit.

import type { MessageName } from './nri-messages.ts';

export type * from './nri-messages.ts';

/** One RPC: its path in HTTP/2 and the names of its messages, as codec.ts takes them. */
export interface Method {
  readonly name: string;
  readonly path: string;
  readonly requestType: MessageName;
  readonly responseType: MessageName;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

export const Runtime = {
  RegisterPlugin: { name: 'RegisterPlugin', path: '/nri.pkg.api.v1alpha1.Runtime/RegisterPlugin', requestType: 'RegisterPluginRequest', responseType: 'Empty', requestStream: false, responseStream: false },
  UpdateContainers: { name: 'UpdateContainers', path: '/nri.pkg.api.v1alpha1.Runtime/UpdateContainers', requestType: 'UpdateContainersRequest', responseType: 'UpdateContainersResponse', requestStream: false, responseStream: false },
} as const satisfies Record<string, Method>;

export const Plugin = {
  Configure: { name: 'Configure', path: '/nri.pkg.api.v1alpha1.Plugin/Configure', requestType: 'ConfigureRequest', responseType: 'ConfigureResponse', requestStream: false, responseStream: false },
  Synchronize: { name: 'Synchronize', path: '/nri.pkg.api.v1alpha1.Plugin/Synchronize', requestType: 'SynchronizeRequest', responseType: 'SynchronizeResponse', requestStream: false, responseStream: false },
  Shutdown: { name: 'Shutdown', path: '/nri.pkg.api.v1alpha1.Plugin/Shutdown', requestType: 'Empty', responseType: 'Empty', requestStream: false, responseStream: false },
  RunPodSandbox: { name: 'RunPodSandbox', path: '/nri.pkg.api.v1alpha1.Plugin/RunPodSandbox', requestType: 'RunPodSandboxRequest', responseType: 'RunPodSandboxResponse', requestStream: false, responseStream: false },
  UpdatePodSandbox: { name: 'UpdatePodSandbox', path: '/nri.pkg.api.v1alpha1.Plugin/UpdatePodSandbox', requestType: 'UpdatePodSandboxRequest', responseType: 'UpdatePodSandboxResponse', requestStream: false, responseStream: false },
  PostUpdatePodSandbox: { name: 'PostUpdatePodSandbox', path: '/nri.pkg.api.v1alpha1.Plugin/PostUpdatePodSandbox', requestType: 'PostUpdatePodSandboxRequest', responseType: 'PostUpdatePodSandboxResponse', requestStream: false, responseStream: false },
  StopPodSandbox: { name: 'StopPodSandbox', path: '/nri.pkg.api.v1alpha1.Plugin/StopPodSandbox', requestType: 'StopPodSandboxRequest', responseType: 'StopPodSandboxResponse', requestStream: false, responseStream: false },
  RemovePodSandbox: { name: 'RemovePodSandbox', path: '/nri.pkg.api.v1alpha1.Plugin/RemovePodSandbox', requestType: 'RemovePodSandboxRequest', responseType: 'RemovePodSandboxResponse', requestStream: false, responseStream: false },
  CreateContainer: { name: 'CreateContainer', path: '/nri.pkg.api.v1alpha1.Plugin/CreateContainer', requestType: 'CreateContainerRequest', responseType: 'CreateContainerResponse', requestStream: false, responseStream: false },
  PostCreateContainer: { name: 'PostCreateContainer', path: '/nri.pkg.api.v1alpha1.Plugin/PostCreateContainer', requestType: 'PostCreateContainerRequest', responseType: 'PostCreateContainerResponse', requestStream: false, responseStream: false },
  StartContainer: { name: 'StartContainer', path: '/nri.pkg.api.v1alpha1.Plugin/StartContainer', requestType: 'StartContainerRequest', responseType: 'StartContainerResponse', requestStream: false, responseStream: false },
  PostStartContainer: { name: 'PostStartContainer', path: '/nri.pkg.api.v1alpha1.Plugin/PostStartContainer', requestType: 'PostStartContainerRequest', responseType: 'PostStartContainerResponse', requestStream: false, responseStream: false },
  UpdateContainer: { name: 'UpdateContainer', path: '/nri.pkg.api.v1alpha1.Plugin/UpdateContainer', requestType: 'UpdateContainerRequest', responseType: 'UpdateContainerResponse', requestStream: false, responseStream: false },
  PostUpdateContainer: { name: 'PostUpdateContainer', path: '/nri.pkg.api.v1alpha1.Plugin/PostUpdateContainer', requestType: 'PostUpdateContainerRequest', responseType: 'PostUpdateContainerResponse', requestStream: false, responseStream: false },
  StopContainer: { name: 'StopContainer', path: '/nri.pkg.api.v1alpha1.Plugin/StopContainer', requestType: 'StopContainerRequest', responseType: 'StopContainerResponse', requestStream: false, responseStream: false },
  RemoveContainer: { name: 'RemoveContainer', path: '/nri.pkg.api.v1alpha1.Plugin/RemoveContainer', requestType: 'RemoveContainerRequest', responseType: 'RemoveContainerResponse', requestStream: false, responseStream: false },
  StateChange: { name: 'StateChange', path: '/nri.pkg.api.v1alpha1.Plugin/StateChange', requestType: 'StateChangeEvent', responseType: 'Empty', requestStream: false, responseStream: false },
  ValidateContainerAdjustment: { name: 'ValidateContainerAdjustment', path: '/nri.pkg.api.v1alpha1.Plugin/ValidateContainerAdjustment', requestType: 'ValidateContainerAdjustmentRequest', responseType: 'ValidateContainerAdjustmentResponse', requestStream: false, responseStream: false },
} as const satisfies Record<string, Method>;

export const Event = {
  UNKNOWN: 0,
  RUN_POD_SANDBOX: 1,
  STOP_POD_SANDBOX: 2,
  REMOVE_POD_SANDBOX: 3,
  CREATE_CONTAINER: 4,
  POST_CREATE_CONTAINER: 5,
  START_CONTAINER: 6,
  POST_START_CONTAINER: 7,
  UPDATE_CONTAINER: 8,
  POST_UPDATE_CONTAINER: 9,
  STOP_CONTAINER: 10,
  REMOVE_CONTAINER: 11,
  UPDATE_POD_SANDBOX: 12,
  POST_UPDATE_POD_SANDBOX: 13,
  VALIDATE_CONTAINER_ADJUSTMENT: 14,
  LAST: 15,
} as const;
export type Event = number;

export const ContainerState = {
  CONTAINER_UNKNOWN: 0,
  CONTAINER_CREATED: 1,
  CONTAINER_PAUSED: 2,
  CONTAINER_RUNNING: 3,
  CONTAINER_STOPPED: 4,
} as const;
export type ContainerState = number;

export const SecurityProfile_ProfileType = {
  RUNTIME_DEFAULT: 0,
  UNCONFINED: 1,
  LOCALHOST: 2,
} as const;
export type SecurityProfile_ProfileType = number;

export const IOPrioClass = {
  IOPRIO_CLASS_NONE: 0,
  IOPRIO_CLASS_RT: 1,
  IOPRIO_CLASS_BE: 2,
  IOPRIO_CLASS_IDLE: 3,
} as const;
export type IOPrioClass = number;

export const LinuxSchedulerPolicy = {
  SCHED_NONE: 0,
  SCHED_OTHER: 1,
  SCHED_FIFO: 2,
  SCHED_RR: 3,
  SCHED_BATCH: 4,
  SCHED_ISO: 5,
  SCHED_IDLE: 6,
  SCHED_DEADLINE: 7,
} as const;
export type LinuxSchedulerPolicy = number;

export const LinuxSchedulerFlag = {
  SCHED_FLAG_RESET_ON_FORK: 0,
  SCHED_FLAG_RECLAIM: 1,
  SCHED_FLAG_DL_OVERRUN: 2,
  SCHED_FLAG_KEEP_POLICY: 3,
  SCHED_FLAG_KEEP_PARAMS: 4,
  SCHED_FLAG_UTIL_CLAMP_MIN: 5,
  SCHED_FLAG_UTIL_CLAMP_MAX: 6,
} as const;
export type LinuxSchedulerFlag = number;

export const MpolMode = {
  MPOL_DEFAULT: 0,
  MPOL_PREFERRED: 1,
  MPOL_BIND: 2,
  MPOL_INTERLEAVE: 3,
  MPOL_LOCAL: 4,
  MPOL_PREFERRED_MANY: 5,
  MPOL_WEIGHTED_INTERLEAVE: 6,
} as const;
export type MpolMode = number;

export const MpolFlag = {
  MPOL_F_STATIC_NODES: 0,
  MPOL_F_RELATIVE_NODES: 1,
  MPOL_F_NUMA_BALANCING: 2,
} as const;
export type MpolFlag = number;

export const Field = {
  None: 0,
  Annotations: 1,
  Mounts: 2,
  OciHooks: 3,
  Devices: 4,
  CdiDevices: 5,
  Env: 6,
  Args: 7,
  MemLimit: 8,
  MemReservation: 9,
  MemSwapLimit: 10,
  MemKernelLimit: 11,
  MemTCPLimit: 12,
  MemSwappiness: 13,
  MemDisableOomKiller: 14,
  MemUseHierarchy: 15,
  CPUShares: 16,
  CPUQuota: 17,
  CPUPeriod: 18,
  CPURealtimeRuntime: 19,
  CPURealtimePeriod: 20,
  CPUSetCPUs: 21,
  CPUSetMems: 22,
  PidsLimit: 23,
  HugepageLimits: 24,
  BlockioClass: 25,
  RdtClass: 26,
  CgroupsUnified: 27,
  CgroupsPath: 28,
  OomScoreAdj: 29,
  Rlimits: 30,
  IoPriority: 31,
  SeccompPolicy: 32,
  Namespace: 33,
  Sysctl: 34,
  LinuxNetDevices: 35,
  LinuxSched: 36,
  RdtClosID: 37,
  RdtSchemata: 38,
  RdtEnableMonitoring: 39,
  MemoryPolicy: 40,
} as const;
export type Field = number;
