// Made by `node proto/generate.ts` from proto/berth/admin/v1/admin.proto. Do not edit.

import type { MessageName } from './admin-messages.ts';

export type * from './admin-messages.ts';

/** One RPC: its path in HTTP/2 and the names of its messages, as codec.ts takes them. */
export interface Method {
  readonly name: string;
  readonly path: string;
  readonly requestType: MessageName;
  readonly responseType: MessageName;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

export const Admin = {
  Info: { name: 'Info', path: '/berth.admin.v1.Admin/Info', requestType: 'InfoRequest', responseType: 'InfoResponse', requestStream: false, responseStream: false },
  WaitContainer: { name: 'WaitContainer', path: '/berth.admin.v1.Admin/WaitContainer', requestType: 'WaitContainerRequest', responseType: 'WaitContainerResponse', requestStream: false, responseStream: false },
  KillContainer: { name: 'KillContainer', path: '/berth.admin.v1.Admin/KillContainer', requestType: 'KillContainerRequest', responseType: 'KillContainerResponse', requestStream: false, responseStream: false },
  ReviveContainer: { name: 'ReviveContainer', path: '/berth.admin.v1.Admin/ReviveContainer', requestType: 'ReviveContainerRequest', responseType: 'ReviveContainerResponse', requestStream: false, responseStream: false },
  PauseContainer: { name: 'PauseContainer', path: '/berth.admin.v1.Admin/PauseContainer', requestType: 'PauseContainerRequest', responseType: 'PauseContainerResponse', requestStream: false, responseStream: false },
  UnpauseContainer: { name: 'UnpauseContainer', path: '/berth.admin.v1.Admin/UnpauseContainer', requestType: 'UnpauseContainerRequest', responseType: 'UnpauseContainerResponse', requestStream: false, responseStream: false },
  RenameContainer: { name: 'RenameContainer', path: '/berth.admin.v1.Admin/RenameContainer', requestType: 'RenameContainerRequest', responseType: 'RenameContainerResponse', requestStream: false, responseStream: false },
  ListContainerDetails: { name: 'ListContainerDetails', path: '/berth.admin.v1.Admin/ListContainerDetails', requestType: 'ListContainerDetailsRequest', responseType: 'ListContainerDetailsResponse', requestStream: false, responseStream: false },
  Exec: { name: 'Exec', path: '/berth.admin.v1.Admin/Exec', requestType: 'ExecRequest', responseType: 'ExecResponse', requestStream: false, responseStream: false },
  ExecDetached: { name: 'ExecDetached', path: '/berth.admin.v1.Admin/ExecDetached', requestType: 'ExecRequest', responseType: 'ExecDetachedResponse', requestStream: false, responseStream: false },
  ListProcesses: { name: 'ListProcesses', path: '/berth.admin.v1.Admin/ListProcesses', requestType: 'ListProcessesRequest', responseType: 'ListProcessesResponse', requestStream: false, responseStream: false },
  StatPath: { name: 'StatPath', path: '/berth.admin.v1.Admin/StatPath', requestType: 'StatPathRequest', responseType: 'StatPathResponse', requestStream: false, responseStream: false },
  CopyFromContainer: { name: 'CopyFromContainer', path: '/berth.admin.v1.Admin/CopyFromContainer', requestType: 'CopyFromContainerRequest', responseType: 'CopyFromContainerResponse', requestStream: false, responseStream: true },
  CopyToContainer: { name: 'CopyToContainer', path: '/berth.admin.v1.Admin/CopyToContainer', requestType: 'CopyToContainerRequest', responseType: 'CopyToContainerResponse', requestStream: true, responseStream: false },
  PullImage: { name: 'PullImage', path: '/berth.admin.v1.Admin/PullImage', requestType: 'PullImageRequest', responseType: 'TransferProgress', requestStream: false, responseStream: true },
  PushImage: { name: 'PushImage', path: '/berth.admin.v1.Admin/PushImage', requestType: 'PushImageRequest', responseType: 'TransferProgress', requestStream: false, responseStream: true },
  VerifyLogin: { name: 'VerifyLogin', path: '/berth.admin.v1.Admin/VerifyLogin', requestType: 'VerifyLoginRequest', responseType: 'VerifyLoginResponse', requestStream: false, responseStream: false },
  TagImage: { name: 'TagImage', path: '/berth.admin.v1.Admin/TagImage', requestType: 'TagImageRequest', responseType: 'TagImageResponse', requestStream: false, responseStream: false },
  DropImage: { name: 'DropImage', path: '/berth.admin.v1.Admin/DropImage', requestType: 'DropImageRequest', responseType: 'DropImageResponse', requestStream: false, responseStream: false },
  DescribeImage: { name: 'DescribeImage', path: '/berth.admin.v1.Admin/DescribeImage', requestType: 'DescribeImageRequest', responseType: 'DescribeImageResponse', requestStream: false, responseStream: false },
  LoadImages: { name: 'LoadImages', path: '/berth.admin.v1.Admin/LoadImages', requestType: 'LoadImagesRequest', responseType: 'LoadImagesResponse', requestStream: true, responseStream: false },
  SaveImages: { name: 'SaveImages', path: '/berth.admin.v1.Admin/SaveImages', requestType: 'SaveImagesRequest', responseType: 'SaveImagesResponse', requestStream: false, responseStream: true },
  CommitContainer: { name: 'CommitContainer', path: '/berth.admin.v1.Admin/CommitContainer', requestType: 'CommitContainerRequest', responseType: 'CommitContainerResponse', requestStream: false, responseStream: false },
  DiffContainer: { name: 'DiffContainer', path: '/berth.admin.v1.Admin/DiffContainer', requestType: 'DiffContainerRequest', responseType: 'DiffContainerResponse', requestStream: false, responseStream: true },
  DiskUsage: { name: 'DiskUsage', path: '/berth.admin.v1.Admin/DiskUsage', requestType: 'DiskUsageRequest', responseType: 'DiskUsageResponse', requestStream: false, responseStream: false },
  PruneImages: { name: 'PruneImages', path: '/berth.admin.v1.Admin/PruneImages', requestType: 'PruneImagesRequest', responseType: 'PruneImagesResponse', requestStream: false, responseStream: false },
  ListVolumes: { name: 'ListVolumes', path: '/berth.admin.v1.Admin/ListVolumes', requestType: 'ListVolumesRequest', responseType: 'ListVolumesResponse', requestStream: false, responseStream: false },
  CreateVolume: { name: 'CreateVolume', path: '/berth.admin.v1.Admin/CreateVolume', requestType: 'CreateVolumeRequest', responseType: 'CreateVolumeResponse', requestStream: false, responseStream: false },
  RemoveVolume: { name: 'RemoveVolume', path: '/berth.admin.v1.Admin/RemoveVolume', requestType: 'RemoveVolumeRequest', responseType: 'RemoveVolumeResponse', requestStream: false, responseStream: false },
  ChoosePorts: { name: 'ChoosePorts', path: '/berth.admin.v1.Admin/ChoosePorts', requestType: 'ChoosePortsRequest', responseType: 'ChoosePortsResponse', requestStream: false, responseStream: false },
} as const satisfies Record<string, Method>;
