// Made by `node proto/generate.ts` from proto/berth/admin/v1/admin.proto. Do not edit.
//
// X is a decoded message: every field is present; an absent message is undefined, lists and maps are frozen when empty.
// XInit is what encode() takes: every field is optional, and a default value is the same as an absent one.
// Enum fields are open: a client of a later version may send a number that has no name here.

export type InfoRequest = Record<never, never>;
export type InfoRequestInit = Record<never, never>;

export interface InfoResponse {
  version: string;
  root_dir: string;
  state_dir: string;
  log_root: string;
  cgroup_driver: string;
  cgroup_version: number;
  snapshotter: string;
  handlers: readonly RuntimeHandlerInfo[];
  program_versions: { readonly [key: string]: string };
  pid: number;
  started_at: bigint;
  configuration: string;
}
export interface InfoResponseInit {
  version?: string | undefined;
  root_dir?: string | undefined;
  state_dir?: string | undefined;
  log_root?: string | undefined;
  cgroup_driver?: string | undefined;
  cgroup_version?: number | undefined;
  snapshotter?: string | undefined;
  handlers?: readonly RuntimeHandlerInfoInit[] | undefined;
  program_versions?: { readonly [key: string]: string } | undefined;
  pid?: number | undefined;
  started_at?: bigint | undefined;
  configuration?: string | undefined;
}

export interface RuntimeHandlerInfo {
  name: string;
  is_default: boolean;
}
export interface RuntimeHandlerInfoInit {
  name?: string | undefined;
  is_default?: boolean | undefined;
}

export interface WaitContainerRequest {
  container_id: string;
}
export interface WaitContainerRequestInit {
  container_id?: string | undefined;
}

export interface WaitContainerResponse {
  exit_code: number;
  finished_at: bigint;
  reason: string;
  message: string;
}
export interface WaitContainerResponseInit {
  exit_code?: number | undefined;
  finished_at?: bigint | undefined;
  reason?: string | undefined;
  message?: string | undefined;
}

export interface KillContainerRequest {
  container_id: string;
  signal: string;
}
export interface KillContainerRequestInit {
  container_id?: string | undefined;
  signal?: string | undefined;
}

export type KillContainerResponse = Record<never, never>;
export type KillContainerResponseInit = Record<never, never>;

export interface ReviveContainerRequest {
  container_id: string;
}
export interface ReviveContainerRequestInit {
  container_id?: string | undefined;
}

export type ReviveContainerResponse = Record<never, never>;
export type ReviveContainerResponseInit = Record<never, never>;

export interface ExecRequest {
  container_id: string;
  cmd: readonly string[];
  tty: boolean;
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  env: readonly string[];
  working_dir: string;
  user: string;
}
export interface ExecRequestInit {
  container_id?: string | undefined;
  cmd?: readonly string[] | undefined;
  tty?: boolean | undefined;
  stdin?: boolean | undefined;
  stdout?: boolean | undefined;
  stderr?: boolean | undefined;
  env?: readonly string[] | undefined;
  working_dir?: string | undefined;
  user?: string | undefined;
}

export interface ExecResponse {
  url: string;
}
export interface ExecResponseInit {
  url?: string | undefined;
}

export interface ListProcessesRequest {
  container_id: string;
}
export interface ListProcessesRequestInit {
  container_id?: string | undefined;
}

export interface ListProcessesResponse {
  processes: readonly Process[];
}
export interface ListProcessesResponseInit {
  processes?: readonly ProcessInit[] | undefined;
}

export interface Process {
  pid: number;
  parent_pid: number;
  uid: number;
  state: string;
  started_at: bigint;
  cpu_ns: bigint;
  resident_bytes: bigint;
  command: readonly string[];
}
export interface ProcessInit {
  pid?: number | undefined;
  parent_pid?: number | undefined;
  uid?: number | undefined;
  state?: string | undefined;
  started_at?: bigint | undefined;
  cpu_ns?: bigint | undefined;
  resident_bytes?: bigint | undefined;
  command?: readonly string[] | undefined;
}

export interface StatPathRequest {
  container_id: string;
  path: string;
  follow_link: boolean;
}
export interface StatPathRequestInit {
  container_id?: string | undefined;
  path?: string | undefined;
  follow_link?: boolean | undefined;
}

export interface StatPathResponse {
  type: string;
  mode: number;
  size_bytes: bigint;
  link_target: string;
}
export interface StatPathResponseInit {
  type?: string | undefined;
  mode?: number | undefined;
  size_bytes?: bigint | undefined;
  link_target?: string | undefined;
}

export interface CopyFromContainerRequest {
  container_id: string;
  path: string;
  follow_link: boolean;
}
export interface CopyFromContainerRequestInit {
  container_id?: string | undefined;
  path?: string | undefined;
  follow_link?: boolean | undefined;
}

export interface CopyFromContainerResponse {
  data: Buffer;
}
export interface CopyFromContainerResponseInit {
  data?: Uint8Array | undefined;
}

export interface CopyToContainerRequest {
  container_id: string;
  path: string;
  data: Buffer;
  keep_owner: boolean;
}
export interface CopyToContainerRequestInit {
  container_id?: string | undefined;
  path?: string | undefined;
  data?: Uint8Array | undefined;
  keep_owner?: boolean | undefined;
}

export type CopyToContainerResponse = Record<never, never>;
export type CopyToContainerResponseInit = Record<never, never>;

/** Decoded messages by name. */
export interface Messages {
  InfoRequest: InfoRequest;
  InfoResponse: InfoResponse;
  RuntimeHandlerInfo: RuntimeHandlerInfo;
  WaitContainerRequest: WaitContainerRequest;
  WaitContainerResponse: WaitContainerResponse;
  KillContainerRequest: KillContainerRequest;
  KillContainerResponse: KillContainerResponse;
  ReviveContainerRequest: ReviveContainerRequest;
  ReviveContainerResponse: ReviveContainerResponse;
  ExecRequest: ExecRequest;
  ExecResponse: ExecResponse;
  ListProcessesRequest: ListProcessesRequest;
  ListProcessesResponse: ListProcessesResponse;
  Process: Process;
  StatPathRequest: StatPathRequest;
  StatPathResponse: StatPathResponse;
  CopyFromContainerRequest: CopyFromContainerRequest;
  CopyFromContainerResponse: CopyFromContainerResponse;
  CopyToContainerRequest: CopyToContainerRequest;
  CopyToContainerResponse: CopyToContainerResponse;
}

/** Messages to encode by name. */
export interface MessageInits {
  InfoRequest: InfoRequestInit;
  InfoResponse: InfoResponseInit;
  RuntimeHandlerInfo: RuntimeHandlerInfoInit;
  WaitContainerRequest: WaitContainerRequestInit;
  WaitContainerResponse: WaitContainerResponseInit;
  KillContainerRequest: KillContainerRequestInit;
  KillContainerResponse: KillContainerResponseInit;
  ReviveContainerRequest: ReviveContainerRequestInit;
  ReviveContainerResponse: ReviveContainerResponseInit;
  ExecRequest: ExecRequestInit;
  ExecResponse: ExecResponseInit;
  ListProcessesRequest: ListProcessesRequestInit;
  ListProcessesResponse: ListProcessesResponseInit;
  Process: ProcessInit;
  StatPathRequest: StatPathRequestInit;
  StatPathResponse: StatPathResponseInit;
  CopyFromContainerRequest: CopyFromContainerRequestInit;
  CopyFromContainerResponse: CopyFromContainerResponseInit;
  CopyToContainerRequest: CopyToContainerRequestInit;
  CopyToContainerResponse: CopyToContainerResponseInit;
}

export type MessageName = keyof Messages;
