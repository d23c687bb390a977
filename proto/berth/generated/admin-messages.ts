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

export interface PauseContainerRequest {
  container_id: string;
}
export interface PauseContainerRequestInit {
  container_id?: string | undefined;
}

export type PauseContainerResponse = Record<never, never>;
export type PauseContainerResponseInit = Record<never, never>;

export interface UnpauseContainerRequest {
  container_id: string;
}
export interface UnpauseContainerRequestInit {
  container_id?: string | undefined;
}

export type UnpauseContainerResponse = Record<never, never>;
export type UnpauseContainerResponseInit = Record<never, never>;

export interface RenameContainerRequest {
  container_id: string;
  name: string;
}
export interface RenameContainerRequestInit {
  container_id?: string | undefined;
  name?: string | undefined;
}

export type RenameContainerResponse = Record<never, never>;
export type RenameContainerResponseInit = Record<never, never>;

export type ListContainerDetailsRequest = Record<never, never>;
export type ListContainerDetailsRequestInit = Record<never, never>;

export interface ListContainerDetailsResponse {
  containers: readonly ContainerDetails[];
}
export interface ListContainerDetailsResponseInit {
  containers?: readonly ContainerDetailsInit[] | undefined;
}

export interface ContainerDetails {
  id: string;
  paused: boolean;
  command: readonly string[];
  started_at: bigint;
  finished_at: bigint;
  exit_code: number;
  reason: string;
}
export interface ContainerDetailsInit {
  id?: string | undefined;
  paused?: boolean | undefined;
  command?: readonly string[] | undefined;
  started_at?: bigint | undefined;
  finished_at?: bigint | undefined;
  exit_code?: number | undefined;
  reason?: string | undefined;
}

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

export type ExecDetachedResponse = Record<never, never>;
export type ExecDetachedResponseInit = Record<never, never>;

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

export interface TransferProgress {
  layers: readonly TransferLayer[];
  result: TransferResult | undefined;
}
export interface TransferProgressInit {
  layers?: readonly TransferLayerInit[] | undefined;
  result?: TransferResultInit | undefined;
}

export interface TransferLayer {
  digest: string;
  size_bytes: bigint;
  done_bytes: bigint;
  state: string;
}
export interface TransferLayerInit {
  digest?: string | undefined;
  size_bytes?: bigint | undefined;
  done_bytes?: bigint | undefined;
  state?: string | undefined;
}

export interface TransferResult {
  reference: string;
  image_id: string;
  digest: string;
  size_bytes: bigint;
  layers_remade: number;
}
export interface TransferResultInit {
  reference?: string | undefined;
  image_id?: string | undefined;
  digest?: string | undefined;
  size_bytes?: bigint | undefined;
  layers_remade?: number | undefined;
}

export interface RegistryCredentials {
  username: string;
  password: string;
}
export interface RegistryCredentialsInit {
  username?: string | undefined;
  password?: string | undefined;
}

export interface PullImageRequest {
  reference: string;
  platform: string;
  credentials: RegistryCredentials | undefined;
}
export interface PullImageRequestInit {
  reference?: string | undefined;
  platform?: string | undefined;
  credentials?: RegistryCredentialsInit | undefined;
}

export interface PushImageRequest {
  image: string;
  target: string;
  credentials: RegistryCredentials | undefined;
}
export interface PushImageRequestInit {
  image?: string | undefined;
  target?: string | undefined;
  credentials?: RegistryCredentialsInit | undefined;
}

export interface VerifyLoginRequest {
  registry: string;
  credentials: RegistryCredentials | undefined;
}
export interface VerifyLoginRequestInit {
  registry?: string | undefined;
  credentials?: RegistryCredentialsInit | undefined;
}

export type VerifyLoginResponse = Record<never, never>;
export type VerifyLoginResponseInit = Record<never, never>;

export interface TagImageRequest {
  image: string;
  target: string;
}
export interface TagImageRequestInit {
  image?: string | undefined;
  target?: string | undefined;
}

export interface TagImageResponse {
  reference: string;
  image_id: string;
}
export interface TagImageResponseInit {
  reference?: string | undefined;
  image_id?: string | undefined;
}

export interface DropImageRequest {
  image: string;
  force: boolean;
}
export interface DropImageRequestInit {
  image?: string | undefined;
  force?: boolean | undefined;
}

export interface DropImageResponse {
  untagged: readonly string[];
  deleted: readonly string[];
}
export interface DropImageResponseInit {
  untagged?: readonly string[] | undefined;
  deleted?: readonly string[] | undefined;
}

export interface DescribeImageRequest {
  image: string;
}
export interface DescribeImageRequestInit {
  image?: string | undefined;
}

export interface DescribeImageResponse {
  id: string;
  repo_tags: readonly string[];
  repo_digests: readonly string[];
  size_bytes: bigint;
  pinned: boolean;
  config: string;
  manifest: string;
  manifest_digest: string;
  layers: readonly ImageLayer[];
  containers: readonly string[];
  artifact_type: string;
}
export interface DescribeImageResponseInit {
  id?: string | undefined;
  repo_tags?: readonly string[] | undefined;
  repo_digests?: readonly string[] | undefined;
  size_bytes?: bigint | undefined;
  pinned?: boolean | undefined;
  config?: string | undefined;
  manifest?: string | undefined;
  manifest_digest?: string | undefined;
  layers?: readonly ImageLayerInit[] | undefined;
  containers?: readonly string[] | undefined;
  artifact_type?: string | undefined;
}

export interface ImageLayer {
  diff_id: string;
  chain_id: string;
  blob_digest: string;
  blob_bytes: bigint;
  disk_bytes: bigint;
  blob_kept: boolean;
}
export interface ImageLayerInit {
  diff_id?: string | undefined;
  chain_id?: string | undefined;
  blob_digest?: string | undefined;
  blob_bytes?: bigint | undefined;
  disk_bytes?: bigint | undefined;
  blob_kept?: boolean | undefined;
}

export interface LoadImagesRequest {
  data: Buffer;
  tag: string;
}
export interface LoadImagesRequestInit {
  data?: Uint8Array | undefined;
  tag?: string | undefined;
}

export interface LoadImagesResponse {
  images: readonly LoadedImage[];
}
export interface LoadImagesResponseInit {
  images?: readonly LoadedImageInit[] | undefined;
}

export interface LoadedImage {
  id: string;
  names: readonly string[];
}
export interface LoadedImageInit {
  id?: string | undefined;
  names?: readonly string[] | undefined;
}

export interface SaveImagesRequest {
  images: readonly string[];
  format: string;
}
export interface SaveImagesRequestInit {
  images?: readonly string[] | undefined;
  format?: string | undefined;
}

export interface SaveImagesResponse {
  data: Buffer;
  layers_remade: number;
}
export interface SaveImagesResponseInit {
  data?: Uint8Array | undefined;
  layers_remade?: number | undefined;
}

export interface CommitContainerRequest {
  container_id: string;
  reference: string;
  author: string;
  message: string;
  changes: readonly string[];
  pause: boolean;
}
export interface CommitContainerRequestInit {
  container_id?: string | undefined;
  reference?: string | undefined;
  author?: string | undefined;
  message?: string | undefined;
  changes?: readonly string[] | undefined;
  pause?: boolean | undefined;
}

export interface CommitContainerResponse {
  image_id: string;
}
export interface CommitContainerResponseInit {
  image_id?: string | undefined;
}

export interface DiffContainerRequest {
  container_id: string;
}
export interface DiffContainerRequestInit {
  container_id?: string | undefined;
}

export interface DiffContainerResponse {
  changes: readonly FileChange[];
}
export interface DiffContainerResponseInit {
  changes?: readonly FileChangeInit[] | undefined;
}

export interface FileChange {
  kind: string;
  path: Buffer;
}
export interface FileChangeInit {
  kind?: string | undefined;
  path?: Uint8Array | undefined;
}

export interface DiskUsageRequest {
  images_only: boolean;
}
export interface DiskUsageRequestInit {
  images_only?: boolean | undefined;
}

export interface DiskUsageResponse {
  images: readonly ImageUsage[];
  containers: readonly ContainerUsage[];
  volumes: readonly VolumeUsage[];
  layer_bytes: bigint;
  blob_bytes: bigint;
  unneeded_bytes: bigint;
}
export interface DiskUsageResponseInit {
  images?: readonly ImageUsageInit[] | undefined;
  containers?: readonly ContainerUsageInit[] | undefined;
  volumes?: readonly VolumeUsageInit[] | undefined;
  layer_bytes?: bigint | undefined;
  blob_bytes?: bigint | undefined;
  unneeded_bytes?: bigint | undefined;
}

export interface ImageUsage {
  id: string;
  names: readonly string[];
  shared_bytes: bigint;
  unique_bytes: bigint;
  created_at: bigint;
  containers: readonly string[];
  pinned: boolean;
  reasons: readonly string[];
}
export interface ImageUsageInit {
  id?: string | undefined;
  names?: readonly string[] | undefined;
  shared_bytes?: bigint | undefined;
  unique_bytes?: bigint | undefined;
  created_at?: bigint | undefined;
  containers?: readonly string[] | undefined;
  pinned?: boolean | undefined;
  reasons?: readonly string[] | undefined;
}

export interface ContainerUsage {
  id: string;
  writable_bytes: bigint;
}
export interface ContainerUsageInit {
  id?: string | undefined;
  writable_bytes?: bigint | undefined;
}

export interface VolumeUsage {
  container_id: string;
  path: string;
  used_bytes: bigint;
}
export interface VolumeUsageInit {
  container_id?: string | undefined;
  path?: string | undefined;
  used_bytes?: bigint | undefined;
}

export interface PruneImagesRequest {
  dry_run: boolean;
  all: boolean;
  until: bigint;
}
export interface PruneImagesRequestInit {
  dry_run?: boolean | undefined;
  all?: boolean | undefined;
  until?: bigint | undefined;
}

export interface PruneImagesResponse {
  images: readonly PrunedImage[];
  freed_bytes: bigint;
}
export interface PruneImagesResponseInit {
  images?: readonly PrunedImageInit[] | undefined;
  freed_bytes?: bigint | undefined;
}

export interface PrunedImage {
  id: string;
  names: readonly string[];
}
export interface PrunedImageInit {
  id?: string | undefined;
  names?: readonly string[] | undefined;
}

export interface Volume {
  name: string;
  path: string;
  labels: { readonly [key: string]: string };
  created_at: bigint;
  containers: readonly string[];
  used_bytes: bigint;
}
export interface VolumeInit {
  name?: string | undefined;
  path?: string | undefined;
  labels?: { readonly [key: string]: string } | undefined;
  created_at?: bigint | undefined;
  containers?: readonly string[] | undefined;
  used_bytes?: bigint | undefined;
}

export interface ListVolumesRequest {
  measure: boolean;
}
export interface ListVolumesRequestInit {
  measure?: boolean | undefined;
}

export interface ListVolumesResponse {
  volumes: readonly Volume[];
}
export interface ListVolumesResponseInit {
  volumes?: readonly VolumeInit[] | undefined;
}

export interface CreateVolumeRequest {
  name: string;
  labels: { readonly [key: string]: string };
}
export interface CreateVolumeRequestInit {
  name?: string | undefined;
  labels?: { readonly [key: string]: string } | undefined;
}

export interface CreateVolumeResponse {
  volume: Volume | undefined;
}
export interface CreateVolumeResponseInit {
  volume?: VolumeInit | undefined;
}

export interface RemoveVolumeRequest {
  name: string;
}
export interface RemoveVolumeRequestInit {
  name?: string | undefined;
}

export type RemoveVolumeResponse = Record<never, never>;
export type RemoveVolumeResponseInit = Record<never, never>;

export interface PortWish {
  protocol: string;
  host_ip: string;
  host_port: number;
}
export interface PortWishInit {
  protocol?: string | undefined;
  host_ip?: string | undefined;
  host_port?: number | undefined;
}

export interface ChoosePortsRequest {
  wishes: readonly PortWish[];
}
export interface ChoosePortsRequestInit {
  wishes?: readonly PortWishInit[] | undefined;
}

export interface ChoosePortsResponse {
  host_ports: readonly number[];
}
export interface ChoosePortsResponseInit {
  host_ports?: readonly number[] | undefined;
}

/** Decoded messages by name. */
export interface Messages {
  InfoRequest: InfoRequest;
  InfoResponse: InfoResponse;
  RuntimeHandlerInfo: RuntimeHandlerInfo;
  WaitContainerRequest: WaitContainerRequest;
  WaitContainerResponse: WaitContainerResponse;
  KillContainerRequest: KillContainerRequest;
  KillContainerResponse: KillContainerResponse;
  PauseContainerRequest: PauseContainerRequest;
  PauseContainerResponse: PauseContainerResponse;
  UnpauseContainerRequest: UnpauseContainerRequest;
  UnpauseContainerResponse: UnpauseContainerResponse;
  RenameContainerRequest: RenameContainerRequest;
  RenameContainerResponse: RenameContainerResponse;
  ListContainerDetailsRequest: ListContainerDetailsRequest;
  ListContainerDetailsResponse: ListContainerDetailsResponse;
  ContainerDetails: ContainerDetails;
  ReviveContainerRequest: ReviveContainerRequest;
  ReviveContainerResponse: ReviveContainerResponse;
  ExecRequest: ExecRequest;
  ExecResponse: ExecResponse;
  ExecDetachedResponse: ExecDetachedResponse;
  ListProcessesRequest: ListProcessesRequest;
  ListProcessesResponse: ListProcessesResponse;
  Process: Process;
  StatPathRequest: StatPathRequest;
  StatPathResponse: StatPathResponse;
  CopyFromContainerRequest: CopyFromContainerRequest;
  CopyFromContainerResponse: CopyFromContainerResponse;
  CopyToContainerRequest: CopyToContainerRequest;
  CopyToContainerResponse: CopyToContainerResponse;
  TransferProgress: TransferProgress;
  TransferLayer: TransferLayer;
  TransferResult: TransferResult;
  RegistryCredentials: RegistryCredentials;
  PullImageRequest: PullImageRequest;
  PushImageRequest: PushImageRequest;
  VerifyLoginRequest: VerifyLoginRequest;
  VerifyLoginResponse: VerifyLoginResponse;
  TagImageRequest: TagImageRequest;
  TagImageResponse: TagImageResponse;
  DropImageRequest: DropImageRequest;
  DropImageResponse: DropImageResponse;
  DescribeImageRequest: DescribeImageRequest;
  DescribeImageResponse: DescribeImageResponse;
  ImageLayer: ImageLayer;
  LoadImagesRequest: LoadImagesRequest;
  LoadImagesResponse: LoadImagesResponse;
  LoadedImage: LoadedImage;
  SaveImagesRequest: SaveImagesRequest;
  SaveImagesResponse: SaveImagesResponse;
  CommitContainerRequest: CommitContainerRequest;
  CommitContainerResponse: CommitContainerResponse;
  DiffContainerRequest: DiffContainerRequest;
  DiffContainerResponse: DiffContainerResponse;
  FileChange: FileChange;
  DiskUsageRequest: DiskUsageRequest;
  DiskUsageResponse: DiskUsageResponse;
  ImageUsage: ImageUsage;
  ContainerUsage: ContainerUsage;
  VolumeUsage: VolumeUsage;
  PruneImagesRequest: PruneImagesRequest;
  PruneImagesResponse: PruneImagesResponse;
  PrunedImage: PrunedImage;
  Volume: Volume;
  ListVolumesRequest: ListVolumesRequest;
  ListVolumesResponse: ListVolumesResponse;
  CreateVolumeRequest: CreateVolumeRequest;
  CreateVolumeResponse: CreateVolumeResponse;
  RemoveVolumeRequest: RemoveVolumeRequest;
  RemoveVolumeResponse: RemoveVolumeResponse;
  PortWish: PortWish;
  ChoosePortsRequest: ChoosePortsRequest;
  ChoosePortsResponse: ChoosePortsResponse;
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
  PauseContainerRequest: PauseContainerRequestInit;
  PauseContainerResponse: PauseContainerResponseInit;
  UnpauseContainerRequest: UnpauseContainerRequestInit;
  UnpauseContainerResponse: UnpauseContainerResponseInit;
  RenameContainerRequest: RenameContainerRequestInit;
  RenameContainerResponse: RenameContainerResponseInit;
  ListContainerDetailsRequest: ListContainerDetailsRequestInit;
  ListContainerDetailsResponse: ListContainerDetailsResponseInit;
  ContainerDetails: ContainerDetailsInit;
  ReviveContainerRequest: ReviveContainerRequestInit;
  ReviveContainerResponse: ReviveContainerResponseInit;
  ExecRequest: ExecRequestInit;
  ExecResponse: ExecResponseInit;
  ExecDetachedResponse: ExecDetachedResponseInit;
  ListProcessesRequest: ListProcessesRequestInit;
  ListProcessesResponse: ListProcessesResponseInit;
  Process: ProcessInit;
  StatPathRequest: StatPathRequestInit;
  StatPathResponse: StatPathResponseInit;
  CopyFromContainerRequest: CopyFromContainerRequestInit;
  CopyFromContainerResponse: CopyFromContainerResponseInit;
  CopyToContainerRequest: CopyToContainerRequestInit;
  CopyToContainerResponse: CopyToContainerResponseInit;
  TransferProgress: TransferProgressInit;
  TransferLayer: TransferLayerInit;
  TransferResult: TransferResultInit;
  RegistryCredentials: RegistryCredentialsInit;
  PullImageRequest: PullImageRequestInit;
  PushImageRequest: PushImageRequestInit;
  VerifyLoginRequest: VerifyLoginRequestInit;
  VerifyLoginResponse: VerifyLoginResponseInit;
  TagImageRequest: TagImageRequestInit;
  TagImageResponse: TagImageResponseInit;
  DropImageRequest: DropImageRequestInit;
  DropImageResponse: DropImageResponseInit;
  DescribeImageRequest: DescribeImageRequestInit;
  DescribeImageResponse: DescribeImageResponseInit;
  ImageLayer: ImageLayerInit;
  LoadImagesRequest: LoadImagesRequestInit;
  LoadImagesResponse: LoadImagesResponseInit;
  LoadedImage: LoadedImageInit;
  SaveImagesRequest: SaveImagesRequestInit;
  SaveImagesResponse: SaveImagesResponseInit;
  CommitContainerRequest: CommitContainerRequestInit;
  CommitContainerResponse: CommitContainerResponseInit;
  DiffContainerRequest: DiffContainerRequestInit;
  DiffContainerResponse: DiffContainerResponseInit;
  FileChange: FileChangeInit;
  DiskUsageRequest: DiskUsageRequestInit;
  DiskUsageResponse: DiskUsageResponseInit;
  ImageUsage: ImageUsageInit;
  ContainerUsage: ContainerUsageInit;
  VolumeUsage: VolumeUsageInit;
  PruneImagesRequest: PruneImagesRequestInit;
  PruneImagesResponse: PruneImagesResponseInit;
  PrunedImage: PrunedImageInit;
  Volume: VolumeInit;
  ListVolumesRequest: ListVolumesRequestInit;
  ListVolumesResponse: ListVolumesResponseInit;
  CreateVolumeRequest: CreateVolumeRequestInit;
  CreateVolumeResponse: CreateVolumeResponseInit;
  RemoveVolumeRequest: RemoveVolumeRequestInit;
  RemoveVolumeResponse: RemoveVolumeResponseInit;
  PortWish: PortWishInit;
  ChoosePortsRequest: ChoosePortsRequestInit;
  ChoosePortsResponse: ChoosePortsResponseInit;
}

export type MessageName = keyof Messages;
