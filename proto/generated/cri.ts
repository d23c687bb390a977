// Made by `node proto/generate.ts` from proto/runtime/v1/api.proto. Do not edit.

import type { MessageName } from './messages.ts';

export type * from './messages.ts';

/** One RPC: its path in HTTP/2 and the names of its messages, as codec.ts takes them. */
export interface Method {
  readonly name: string;
  readonly path: string;
  readonly requestType: MessageName;
  readonly responseType: MessageName;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

export const RuntimeService = {
  Version: { name: 'Version', path: '/runtime.v1.RuntimeService/Version', requestType: 'VersionRequest', responseType: 'VersionResponse', requestStream: false, responseStream: false },
  RunPodSandbox: { name: 'RunPodSandbox', path: '/runtime.v1.RuntimeService/RunPodSandbox', requestType: 'RunPodSandboxRequest', responseType: 'RunPodSandboxResponse', requestStream: false, responseStream: false },
  StopPodSandbox: { name: 'StopPodSandbox', path: '/runtime.v1.RuntimeService/StopPodSandbox', requestType: 'StopPodSandboxRequest', responseType: 'StopPodSandboxResponse', requestStream: false, responseStream: false },
  RemovePodSandbox: { name: 'RemovePodSandbox', path: '/runtime.v1.RuntimeService/RemovePodSandbox', requestType: 'RemovePodSandboxRequest', responseType: 'RemovePodSandboxResponse', requestStream: false, responseStream: false },
  PodSandboxStatus: { name: 'PodSandboxStatus', path: '/runtime.v1.RuntimeService/PodSandboxStatus', requestType: 'PodSandboxStatusRequest', responseType: 'PodSandboxStatusResponse', requestStream: false, responseStream: false },
  ListPodSandbox: { name: 'ListPodSandbox', path: '/runtime.v1.RuntimeService/ListPodSandbox', requestType: 'ListPodSandboxRequest', responseType: 'ListPodSandboxResponse', requestStream: false, responseStream: false },
  StreamPodSandboxes: { name: 'StreamPodSandboxes', path: '/runtime.v1.RuntimeService/StreamPodSandboxes', requestType: 'StreamPodSandboxesRequest', responseType: 'StreamPodSandboxesResponse', requestStream: false, responseStream: true },
  CreateContainer: { name: 'CreateContainer', path: '/runtime.v1.RuntimeService/CreateContainer', requestType: 'CreateContainerRequest', responseType: 'CreateContainerResponse', requestStream: false, responseStream: false },
  StartContainer: { name: 'StartContainer', path: '/runtime.v1.RuntimeService/StartContainer', requestType: 'StartContainerRequest', responseType: 'StartContainerResponse', requestStream: false, responseStream: false },
  StopContainer: { name: 'StopContainer', path: '/runtime.v1.RuntimeService/StopContainer', requestType: 'StopContainerRequest', responseType: 'StopContainerResponse', requestStream: false, responseStream: false },
  RemoveContainer: { name: 'RemoveContainer', path: '/runtime.v1.RuntimeService/RemoveContainer', requestType: 'RemoveContainerRequest', responseType: 'RemoveContainerResponse', requestStream: false, responseStream: false },
  ListContainers: { name: 'ListContainers', path: '/runtime.v1.RuntimeService/ListContainers', requestType: 'ListContainersRequest', responseType: 'ListContainersResponse', requestStream: false, responseStream: false },
  StreamContainers: { name: 'StreamContainers', path: '/runtime.v1.RuntimeService/StreamContainers', requestType: 'StreamContainersRequest', responseType: 'StreamContainersResponse', requestStream: false, responseStream: true },
  ContainerStatus: { name: 'ContainerStatus', path: '/runtime.v1.RuntimeService/ContainerStatus', requestType: 'ContainerStatusRequest', responseType: 'ContainerStatusResponse', requestStream: false, responseStream: false },
  UpdateContainerResources: { name: 'UpdateContainerResources', path: '/runtime.v1.RuntimeService/UpdateContainerResources', requestType: 'UpdateContainerResourcesRequest', responseType: 'UpdateContainerResourcesResponse', requestStream: false, responseStream: false },
  ReopenContainerLog: { name: 'ReopenContainerLog', path: '/runtime.v1.RuntimeService/ReopenContainerLog', requestType: 'ReopenContainerLogRequest', responseType: 'ReopenContainerLogResponse', requestStream: false, responseStream: false },
  ExecSync: { name: 'ExecSync', path: '/runtime.v1.RuntimeService/ExecSync', requestType: 'ExecSyncRequest', responseType: 'ExecSyncResponse', requestStream: false, responseStream: false },
  Exec: { name: 'Exec', path: '/runtime.v1.RuntimeService/Exec', requestType: 'ExecRequest', responseType: 'ExecResponse', requestStream: false, responseStream: false },
  Attach: { name: 'Attach', path: '/runtime.v1.RuntimeService/Attach', requestType: 'AttachRequest', responseType: 'AttachResponse', requestStream: false, responseStream: false },
  PortForward: { name: 'PortForward', path: '/runtime.v1.RuntimeService/PortForward', requestType: 'PortForwardRequest', responseType: 'PortForwardResponse', requestStream: false, responseStream: false },
  ContainerStats: { name: 'ContainerStats', path: '/runtime.v1.RuntimeService/ContainerStats', requestType: 'ContainerStatsRequest', responseType: 'ContainerStatsResponse', requestStream: false, responseStream: false },
  ListContainerStats: { name: 'ListContainerStats', path: '/runtime.v1.RuntimeService/ListContainerStats', requestType: 'ListContainerStatsRequest', responseType: 'ListContainerStatsResponse', requestStream: false, responseStream: false },
  StreamContainerStats: { name: 'StreamContainerStats', path: '/runtime.v1.RuntimeService/StreamContainerStats', requestType: 'StreamContainerStatsRequest', responseType: 'StreamContainerStatsResponse', requestStream: false, responseStream: true },
  PodSandboxStats: { name: 'PodSandboxStats', path: '/runtime.v1.RuntimeService/PodSandboxStats', requestType: 'PodSandboxStatsRequest', responseType: 'PodSandboxStatsResponse', requestStream: false, responseStream: false },
  ListPodSandboxStats: { name: 'ListPodSandboxStats', path: '/runtime.v1.RuntimeService/ListPodSandboxStats', requestType: 'ListPodSandboxStatsRequest', responseType: 'ListPodSandboxStatsResponse', requestStream: false, responseStream: false },
  StreamPodSandboxStats: { name: 'StreamPodSandboxStats', path: '/runtime.v1.RuntimeService/StreamPodSandboxStats', requestType: 'StreamPodSandboxStatsRequest', responseType: 'StreamPodSandboxStatsResponse', requestStream: false, responseStream: true },
  UpdateRuntimeConfig: { name: 'UpdateRuntimeConfig', path: '/runtime.v1.RuntimeService/UpdateRuntimeConfig', requestType: 'UpdateRuntimeConfigRequest', responseType: 'UpdateRuntimeConfigResponse', requestStream: false, responseStream: false },
  Status: { name: 'Status', path: '/runtime.v1.RuntimeService/Status', requestType: 'StatusRequest', responseType: 'StatusResponse', requestStream: false, responseStream: false },
  CheckpointContainer: { name: 'CheckpointContainer', path: '/runtime.v1.RuntimeService/CheckpointContainer', requestType: 'CheckpointContainerRequest', responseType: 'CheckpointContainerResponse', requestStream: false, responseStream: false },
  CheckpointPod: { name: 'CheckpointPod', path: '/runtime.v1.RuntimeService/CheckpointPod', requestType: 'CheckpointPodRequest', responseType: 'CheckpointPodResponse', requestStream: false, responseStream: false },
  RestorePod: { name: 'RestorePod', path: '/runtime.v1.RuntimeService/RestorePod', requestType: 'RestorePodRequest', responseType: 'RestorePodResponse', requestStream: false, responseStream: false },
  GetContainerEvents: { name: 'GetContainerEvents', path: '/runtime.v1.RuntimeService/GetContainerEvents', requestType: 'GetEventsRequest', responseType: 'ContainerEventResponse', requestStream: false, responseStream: true },
  ListMetricDescriptors: { name: 'ListMetricDescriptors', path: '/runtime.v1.RuntimeService/ListMetricDescriptors', requestType: 'ListMetricDescriptorsRequest', responseType: 'ListMetricDescriptorsResponse', requestStream: false, responseStream: false },
  ListPodSandboxMetrics: { name: 'ListPodSandboxMetrics', path: '/runtime.v1.RuntimeService/ListPodSandboxMetrics', requestType: 'ListPodSandboxMetricsRequest', responseType: 'ListPodSandboxMetricsResponse', requestStream: false, responseStream: false },
  StreamPodSandboxMetrics: { name: 'StreamPodSandboxMetrics', path: '/runtime.v1.RuntimeService/StreamPodSandboxMetrics', requestType: 'StreamPodSandboxMetricsRequest', responseType: 'StreamPodSandboxMetricsResponse', requestStream: false, responseStream: true },
  RuntimeConfig: { name: 'RuntimeConfig', path: '/runtime.v1.RuntimeService/RuntimeConfig', requestType: 'RuntimeConfigRequest', responseType: 'RuntimeConfigResponse', requestStream: false, responseStream: false },
  UpdatePodSandboxResources: { name: 'UpdatePodSandboxResources', path: '/runtime.v1.RuntimeService/UpdatePodSandboxResources', requestType: 'UpdatePodSandboxResourcesRequest', responseType: 'UpdatePodSandboxResourcesResponse', requestStream: false, responseStream: false },
} as const satisfies Record<string, Method>;

export const ImageService = {
  ListImages: { name: 'ListImages', path: '/runtime.v1.ImageService/ListImages', requestType: 'ListImagesRequest', responseType: 'ListImagesResponse', requestStream: false, responseStream: false },
  StreamImages: { name: 'StreamImages', path: '/runtime.v1.ImageService/StreamImages', requestType: 'StreamImagesRequest', responseType: 'StreamImagesResponse', requestStream: false, responseStream: true },
  ImageStatus: { name: 'ImageStatus', path: '/runtime.v1.ImageService/ImageStatus', requestType: 'ImageStatusRequest', responseType: 'ImageStatusResponse', requestStream: false, responseStream: false },
  PullImage: { name: 'PullImage', path: '/runtime.v1.ImageService/PullImage', requestType: 'PullImageRequest', responseType: 'PullImageResponse', requestStream: false, responseStream: false },
  RemoveImage: { name: 'RemoveImage', path: '/runtime.v1.ImageService/RemoveImage', requestType: 'RemoveImageRequest', responseType: 'RemoveImageResponse', requestStream: false, responseStream: false },
  ImageFsInfo: { name: 'ImageFsInfo', path: '/runtime.v1.ImageService/ImageFsInfo', requestType: 'ImageFsInfoRequest', responseType: 'ImageFsInfoResponse', requestStream: false, responseStream: false },
} as const satisfies Record<string, Method>;

export const Protocol = {
  TCP: 0,
  UDP: 1,
  SCTP: 2,
} as const;
export type Protocol = number;

export const MountPropagation = {
  PROPAGATION_PRIVATE: 0,
  PROPAGATION_HOST_TO_CONTAINER: 1,
  PROPAGATION_BIDIRECTIONAL: 2,
} as const;
export type MountPropagation = number;

export const NamespaceMode = {
  POD: 0,
  CONTAINER: 1,
  NODE: 2,
  TARGET: 3,
} as const;
export type NamespaceMode = number;

export const SupplementalGroupsPolicy = {
  Merge: 0,
  Strict: 1,
} as const;
export type SupplementalGroupsPolicy = number;

export const SecurityProfile_ProfileType = {
  RuntimeDefault: 0,
  Unconfined: 1,
  Localhost: 2,
} as const;
export type SecurityProfile_ProfileType = number;

export const PodSandboxState = {
  SANDBOX_READY: 0,
  SANDBOX_NOTREADY: 1,
} as const;
export type PodSandboxState = number;

export const Signal = {
  SIGNAL_RUNTIME_DEFAULT: 0,
  SIGNAL_SIGABRT: 1,
  SIGNAL_SIGALRM: 2,
  SIGNAL_SIGBUS: 3,
  SIGNAL_SIGCHLD: 4,
  SIGNAL_SIGCLD: 5,
  SIGNAL_SIGCONT: 6,
  SIGNAL_SIGFPE: 7,
  SIGNAL_SIGHUP: 8,
  SIGNAL_SIGILL: 9,
  SIGNAL_SIGINT: 10,
  SIGNAL_SIGIO: 11,
  SIGNAL_SIGIOT: 12,
  SIGNAL_SIGKILL: 13,
  SIGNAL_SIGPIPE: 14,
  SIGNAL_SIGPOLL: 15,
  SIGNAL_SIGPROF: 16,
  SIGNAL_SIGPWR: 17,
  SIGNAL_SIGQUIT: 18,
  SIGNAL_SIGSEGV: 19,
  SIGNAL_SIGSTKFLT: 20,
  SIGNAL_SIGSTOP: 21,
  SIGNAL_SIGSYS: 22,
  SIGNAL_SIGTERM: 23,
  SIGNAL_SIGTRAP: 24,
  SIGNAL_SIGTSTP: 25,
  SIGNAL_SIGTTIN: 26,
  SIGNAL_SIGTTOU: 27,
  SIGNAL_SIGURG: 28,
  SIGNAL_SIGUSR1: 29,
  SIGNAL_SIGUSR2: 30,
  SIGNAL_SIGVTALRM: 31,
  SIGNAL_SIGWINCH: 32,
  SIGNAL_SIGXCPU: 33,
  SIGNAL_SIGXFSZ: 34,
  SIGNAL_SIGRTMIN: 35,
  SIGNAL_SIGRTMINPLUS1: 36,
  SIGNAL_SIGRTMINPLUS2: 37,
  SIGNAL_SIGRTMINPLUS3: 38,
  SIGNAL_SIGRTMINPLUS4: 39,
  SIGNAL_SIGRTMINPLUS5: 40,
  SIGNAL_SIGRTMINPLUS6: 41,
  SIGNAL_SIGRTMINPLUS7: 42,
  SIGNAL_SIGRTMINPLUS8: 43,
  SIGNAL_SIGRTMINPLUS9: 44,
  SIGNAL_SIGRTMINPLUS10: 45,
  SIGNAL_SIGRTMINPLUS11: 46,
  SIGNAL_SIGRTMINPLUS12: 47,
  SIGNAL_SIGRTMINPLUS13: 48,
  SIGNAL_SIGRTMINPLUS14: 49,
  SIGNAL_SIGRTMINPLUS15: 50,
  SIGNAL_SIGRTMAXMINUS14: 51,
  SIGNAL_SIGRTMAXMINUS13: 52,
  SIGNAL_SIGRTMAXMINUS12: 53,
  SIGNAL_SIGRTMAXMINUS11: 54,
  SIGNAL_SIGRTMAXMINUS10: 55,
  SIGNAL_SIGRTMAXMINUS9: 56,
  SIGNAL_SIGRTMAXMINUS8: 57,
  SIGNAL_SIGRTMAXMINUS7: 58,
  SIGNAL_SIGRTMAXMINUS6: 59,
  SIGNAL_SIGRTMAXMINUS5: 60,
  SIGNAL_SIGRTMAXMINUS4: 61,
  SIGNAL_SIGRTMAXMINUS3: 62,
  SIGNAL_SIGRTMAXMINUS2: 63,
  SIGNAL_SIGRTMAXMINUS1: 64,
  SIGNAL_SIGRTMAX: 65,
} as const;
export type Signal = number;

export const ContainerState = {
  CONTAINER_CREATED: 0,
  CONTAINER_RUNNING: 1,
  CONTAINER_EXITED: 2,
  CONTAINER_UNKNOWN: 3,
} as const;
export type ContainerState = number;

export const ContainerEventType = {
  CONTAINER_CREATED_EVENT: 0,
  CONTAINER_STARTED_EVENT: 1,
  CONTAINER_STOPPED_EVENT: 2,
  CONTAINER_DELETED_EVENT: 3,
} as const;
export type ContainerEventType = number;

export const MetricType = {
  COUNTER: 0,
  GAUGE: 1,
} as const;
export type MetricType = number;

export const CgroupDriver = {
  SYSTEMD: 0,
  CGROUPFS: 1,
} as const;
export type CgroupDriver = number;
