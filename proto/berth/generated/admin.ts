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
  Exec: { name: 'Exec', path: '/berth.admin.v1.Admin/Exec', requestType: 'ExecRequest', responseType: 'ExecResponse', requestStream: false, responseStream: false },
  ListProcesses: { name: 'ListProcesses', path: '/berth.admin.v1.Admin/ListProcesses', requestType: 'ListProcessesRequest', responseType: 'ListProcessesResponse', requestStream: false, responseStream: false },
  StatPath: { name: 'StatPath', path: '/berth.admin.v1.Admin/StatPath', requestType: 'StatPathRequest', responseType: 'StatPathResponse', requestStream: false, responseStream: false },
  CopyFromContainer: { name: 'CopyFromContainer', path: '/berth.admin.v1.Admin/CopyFromContainer', requestType: 'CopyFromContainerRequest', responseType: 'CopyFromContainerResponse', requestStream: false, responseStream: true },
  CopyToContainer: { name: 'CopyToContainer', path: '/berth.admin.v1.Admin/CopyToContainer', requestType: 'CopyToContainerRequest', responseType: 'CopyToContainerResponse', requestStream: true, responseStream: false },
} as const satisfies Record<string, Method>;
