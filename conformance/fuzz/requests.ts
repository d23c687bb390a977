/** A valid request of every call, rich in fields, for the fuzzer to change; and what no changed request may be sent with. */
import { normalize } from 'node:path';
import type { MethodName, RequestOf } from '../cri-client.ts';

/** What the requests are about. */
export interface Scene {
  readonly image: string;
  readonly otherImage: string;
  readonly sandboxId: string;
  readonly runningId: string;
  readonly createdId: string;
  /** Everything that a request makes on the machine is below these. */
  readonly dir: string;
  readonly cgroupParent: string;
}

/** A command that ends at TERM, so that stopping it takes no time. */
export const patientCommand = ['sh', '-c', 'trap "exit 0" TERM; sleep 1000000 & wait'];

const range = { host_id: 100_000, container_id: 0, length: 65_536 };
const streams = { stdin: false, stdout: true, stderr: true, tty: false };
const labels = { app: 'fuzz', 'io.kubernetes.pod.name': 'fuzz' };

export function sandboxConfig(scene: Omit<Scene, 'sandboxId' | 'runningId' | 'createdId'>, name: string) {
  return {
    metadata: { name, uid: `uid-${name}`, namespace: 'fuzz', attempt: 1 },
    hostname: 'fuzz',
    log_directory: `${scene.dir}/pods/${name}`,
    dns_config: { servers: ['10.96.0.10'], searches: ['fuzz.local'], options: ['ndots:5'] },
    port_mappings: [{ protocol: 0, container_port: 80, host_port: 0, host_ip: '127.0.0.1' }],
    labels,
    annotations: { note: 'fuzz' },
    linux: {
      cgroup_parent: scene.cgroupParent,
      security_context: {
        namespace_options: { network: 0, pid: 1, ipc: 0 },
        run_as_user: { value: 0n },
        run_as_group: { value: 0n },
        supplemental_groups: [1n],
        seccomp: { profile_type: 0 },
      },
      sysctls: { 'net.ipv4.ip_unprivileged_port_start': '0' },
      overhead: { cpu_period: 100_000n, cpu_shares: 2n },
      resources: { cpu_period: 100_000n, cpu_shares: 2n },
    },
  };
}

function containerConfig(scene: Scene, name: string) {
  return {
    metadata: { name, attempt: 1 },
    image: { image: scene.image, annotations: { a: 'b' }, user_specified_image: scene.image },
    command: patientCommand,
    args: [],
    working_dir: '/tmp',
    envs: [{ key: 'A', value: Buffer.from('b') }],
    mounts: [
      { host_path: `${scene.dir}/volume`, container_path: '/mnt', readonly: false, propagation: 0 },
      { image: { image: scene.otherImage }, container_path: '/image', readonly: true, image_sub_path: 'etc' },
    ],
    devices: [{ host_path: '/dev/null', container_path: '/dev/nothing', permissions: 'rwm' }],
    labels,
    annotations: { note: 'fuzz' },
    log_path: `${name}.log`,
    linux: {
      resources: {
        cpu_period: 100_000n,
        cpu_quota: 100_000n,
        cpu_shares: 100n,
        memory_limit_in_bytes: 64n << 20n,
        oom_score_adj: 500n,
        cpuset_cpus: '0',
        hugepage_limits: [{ page_size: '2MB', limit: 0n }],
        unified: {},
      },
      security_context: {
        capabilities: { add_capabilities: ['NET_ADMIN'], drop_capabilities: ['MKNOD'] },
        namespace_options: { network: 0, pid: 1, ipc: 0 },
        run_as_user: { value: 0n },
        supplemental_groups: [1n],
        masked_paths: ['/proc/kcore'],
        readonly_paths: ['/proc/sys'],
        seccomp: { profile_type: 0 },
        apparmor: { profile_type: 1 },
        no_new_privs: true,
      },
    },
    CDI_devices: [],
    stop_signal: 15,
  };
}

/**
 * A valid request; `n` makes names that no other has. With the calls that make or end something comes how often they are
 * sent, of 1,000, for they take longest; the others share the rest.
 */
export function validRequests(scene: Scene, n: number): { [N in MethodName]?: RequestOf<N> } {
  const container_id = scene.runningId;
  const pod_sandbox_id = scene.sandboxId;
  const auth = { username: 'u', password: 'p', server_address: 'https://docker.io' };
  const filter = { id: scene.runningId, label_selector: labels };
  return {
    Version: { version: 'v1' },
    RunPodSandbox: { config: sandboxConfig(scene, `pod${n}`), runtime_handler: '' },
    StopPodSandbox: { pod_sandbox_id },
    RemovePodSandbox: { pod_sandbox_id },
    PodSandboxStatus: { pod_sandbox_id, verbose: true },
    ListPodSandbox: { filter: { id: pod_sandbox_id, state: { state: 0 }, label_selector: labels } },
    StreamPodSandboxes: { filter: { id: pod_sandbox_id, state: { state: 0 }, label_selector: labels } },
    CreateContainer: {
      pod_sandbox_id,
      config: containerConfig(scene, `c${n}`),
      sandbox_config: sandboxConfig(scene, 'scene'),
    },
    StartContainer: { container_id: scene.createdId },
    StopContainer: { container_id, timeout: 1n },
    RemoveContainer: { container_id: scene.createdId },
    ListContainers: { filter: { ...filter, state: { state: 1 }, pod_sandbox_id } },
    StreamContainers: { filter: { ...filter, state: { state: 1 }, pod_sandbox_id } },
    ContainerStatus: { container_id, verbose: true },
    UpdateContainerResources: {
      container_id,
      linux: { cpu_shares: 50n, cpu_period: 100_000n, cpu_quota: 50_000n, memory_limit_in_bytes: 64n << 20n },
      annotations: { a: 'b' },
    },
    ReopenContainerLog: { container_id },
    ExecSync: { container_id, cmd: ['true'], timeout: 1n },
    Exec: { container_id, cmd: ['true'], ...streams },
    Attach: { container_id, ...streams },
    PortForward: { pod_sandbox_id, port: [80, 443] },
    ContainerStats: { container_id },
    ListContainerStats: { filter: { ...filter, pod_sandbox_id } },
    StreamContainerStats: { filter: { ...filter, pod_sandbox_id } },
    PodSandboxStats: { pod_sandbox_id },
    ListPodSandboxStats: { filter: { id: pod_sandbox_id, label_selector: labels } },
    StreamPodSandboxStats: { filter: { id: pod_sandbox_id, label_selector: labels } },
    UpdateRuntimeConfig: { runtime_config: { network_config: { pod_cidr: '10.88.0.0/16' } } },
    Status: { verbose: true },
    CheckpointContainer: { container_id: 'f'.repeat(64), location: `${scene.dir}/point.tar`, timeout: 1n },
    CheckpointPod: {
      pod_sandbox_id,
      output_path: `${scene.dir}/pods/point`,
      container_ids: [container_id],
      options: {},
    },
    RestorePod: {
      checkpoint_path: `${scene.dir}/pods/point`,
      config: sandboxConfig(scene, `restored${n}`),
      container_configs: [containerConfig(scene, 'running')],
      options: {},
    },
    GetContainerEvents: {},
    ListMetricDescriptors: {},
    ListPodSandboxMetrics: {},
    StreamPodSandboxMetrics: {},
    RuntimeConfig: {},
    UpdatePodSandboxResources: {
      pod_sandbox_id,
      overhead: { cpu_shares: 2n },
      resources: { cpu_shares: 50n, memory_limit_in_bytes: 64n << 20n },
    },
    ListImages: { filter: { image: { image: scene.image } } },
    StreamImages: { filter: { image: { image: scene.image } } },
    ImageStatus: { image: { image: scene.image, runtime_handler: '' }, verbose: true },
    PullImage: { image: { image: scene.otherImage }, auth, sandbox_config: sandboxConfig(scene, 'scene') },
    RemoveImage: { image: { image: scene.otherImage } },
    ImageFsInfo: {},
  } as { [N in MethodName]?: RequestOf<N> };
}

/** How often these are sent, of 1,000. */
export const shares: Readonly<Partial<Record<MethodName, number>>> = {
  RunPodSandbox: 25,
  CreateContainer: 30,
  StartContainer: 10,
  StopContainer: 8,
  StopPodSandbox: 4,
  RemovePodSandbox: 4,
  RemoveContainer: 6,
  ExecSync: 12,
  PullImage: 12,
  RemoveImage: 4,
  UpdateContainerResources: 12,
  UpdatePodSandboxResources: 12,
  ReopenContainerLog: 5,
  CheckpointContainer: 6,
  CheckpointPod: 6,
  RestorePod: 6,
  GetContainerEvents: 3,
  ListPodSandboxMetrics: 4,
  StreamPodSandboxMetrics: 4,
  UpdateRuntimeConfig: 6,
};

/** A user namespace with these, in a share of the pods. */
export const userNamespace = { mode: 0, uids: [range], gids: [range] };

/** Fields that name something of the machine, which a client of the socket may name as it likes. */
const hostPaths = new Set(['host_path', 'log_directory', 'location', 'output_path', 'checkpoint_path']);

/**
 * Whether the machine is safe from this request. A client of the socket is root: it may ask for any host path to be made and
 * mounted, and for any cgroup. So a change that happens to name another valid place than ours is not sent.
 */
export function isSafe(scene: Pick<Scene, 'dir' | 'cgroupParent'>, message: unknown): boolean {
  if (typeof message !== 'object' || message === null || Buffer.isBuffer(message)) return true;
  return Object.entries(message).every(([name, value]) => {
    if (typeof value !== 'string') return isSafe(scene, value);
    const path = normalize(value);
    if (name === 'cgroup_parent')
      return value === '' || path === scene.cgroupParent || path.startsWith(`${scene.cgroupParent}/`);
    if (!hostPaths.has(name) || !value.startsWith('/')) return true;
    return (
      path.startsWith(`${scene.dir}/pods/`) ||
      path.startsWith(`${scene.dir}/volume`) ||
      path.startsWith('/dev/')
    );
  });
}
