/** The same default container on a CRI server, and everything that confines it: as asked of the OCI runtime, and as it is. */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { CriClient } from '../cri-client.ts';

export interface OciMount {
  readonly destination: string;
  readonly type?: string;
  readonly options?: readonly string[];
}

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly args?: readonly object[];
}

/** What is compared of a config.json (OCI runtime-spec, config.md and config-linux.md). */
export interface OciConfig {
  readonly process: {
    readonly capabilities?: Readonly<Record<string, readonly string[]>>;
    readonly noNewPrivileges?: boolean;
    readonly rlimits?: readonly object[];
    readonly apparmorProfile?: string;
  };
  readonly mounts: readonly OciMount[];
  readonly linux: {
    readonly namespaces: readonly { readonly type: string; readonly path?: string }[];
    readonly maskedPaths?: readonly string[];
    readonly readonlyPaths?: readonly string[];
    readonly devices?: readonly { readonly path: string }[];
    readonly rootfsPropagation?: string;
    readonly resources?: {
      readonly devices?: readonly {
        readonly allow: boolean;
        readonly type?: string;
        readonly major?: number;
        readonly minor?: number;
        readonly access?: string;
      }[];
    };
    readonly seccomp?: { readonly defaultAction: string; readonly syscalls?: readonly SeccompRule[] };
  };
}

export interface Profile {
  readonly config: OciConfig;
  /** Lines of /proc/PID/status by their names. */
  readonly status: Readonly<Record<string, string>>;
  /** Mount options by mount point, of the mount and of the file system. */
  readonly mounts: ReadonlyMap<string, ReadonlySet<string>>;
  /** Names below /dev, without those that every terminal and queue makes. */
  readonly devices: readonly string[];
  /** What the cgroup lets it do with devices, where that can be read (cgroup version 1). */
  readonly deviceRules: readonly string[] | undefined;
  /** Which namespaces are not the host's. */
  readonly ownNamespaces: readonly string[];
  readonly sysctls: Readonly<Record<string, string>>;
}

const image = 'docker.io/library/busybox:latest';
const sysctls = [
  'net.ipv4.ip_forward',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ping_group_range',
  'kernel.shmmax',
];
/** What the kubelet sends unless a pod asks for `procMount: Unmasked` (Kubernetes, pkg/securitycontext). */
const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];
const namespaceFiles = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'];

/** Runs a pod with one container that says nothing about security but `seccomp`, looks, and removes the pod. */
export async function takeProfile(
  endpoint: string,
  dir: string,
  seccomp: 'RuntimeDefault' | 'unset',
): Promise<Profile> {
  const client = new CriClient(endpoint.replace('unix://', ''));
  const profile =
    seccomp === 'RuntimeDefault'
      ? { seccomp: { profile_type: 0 }, masked_paths: maskedPaths, readonly_paths: readonlyPaths }
      : {};
  const namespace_options = { network: 0, pid: 1, ipc: 0 };
  const {
    masked_paths: _masked,
    readonly_paths: _readonly,
    ...ofPod
  } = { ...profile } as Record<string, unknown>;
  const config = {
    metadata: { name: `peer-${seccomp.toLowerCase()}`, uid: `peer-${seccomp}`, namespace: 'peer' },
    log_directory: join(dir, 'logs'),
    linux: { security_context: { namespace_options, ...ofPod } },
  };
  await client.call('PullImage', { image: { image } });
  const { pod_sandbox_id } = await client.call('RunPodSandbox', { config });
  try {
    const { container_id } = await client.call('CreateContainer', {
      pod_sandbox_id,
      sandbox_config: config,
      config: {
        metadata: { name: 'main' },
        image: { image },
        command: ['sleep', '1000'],
        log_path: 'main.log',
        linux: { security_context: { namespace_options, ...profile } },
      },
    });
    await client.call('StartContainer', { container_id });
    const { info } = await client.call('ContainerStatus', { container_id, verbose: true });
    const { pid } = JSON.parse(info.info ?? '{}') as { pid: number };
    return look(dir, container_id, pid);
  } finally {
    await client.call('RemovePodSandbox', { pod_sandbox_id });
    client.close();
  }
}

function look(dir: string, id: string, pid: number): Profile {
  const [file] = globSync(`**/${id}/**/config.json`, {
    cwd: join(dir, 'state'),
    exclude: (name) => name === 'rootfs',
  });
  if (file === undefined) throw new Error(`no config.json of container ${id} below ${dir}/state`);
  const proc = (name: string) => readFileSync(`/proc/${pid}/${name}`, 'utf8');
  const status = proc('status')
    .trim()
    .split('\n')
    .map((line) => line.split(/:\s*/, 2) as [string, string]);
  const mounts = proc('mountinfo')
    .trim()
    .split('\n')
    .map((line): [string, ReadonlySet<string>] => {
      const [before = '', after = ''] = line.split(' - ');
      const [, , , , mountPoint = '', options = ''] = before.split(' ');
      return [mountPoint, new Set([...options.split(','), ...(after.split(' ')[2] ?? '').split(',')])];
    });
  const root = `/proc/${pid}/root`;
  return {
    config: JSON.parse(readFileSync(join(dir, 'state', file), 'utf8')) as OciConfig,
    status: Object.fromEntries(status),
    mounts: new Map(mounts),
    devices: readdirSync(join(root, 'dev')).toSorted(),
    ownNamespaces: namespaceFiles.filter(
      (name) => readlinkSync(`/proc/${pid}/ns/${name}`) !== readlinkSync(`/proc/self/ns/${name}`),
    ),
    deviceRules: readDeviceRules(proc('cgroup')),
    sysctls: readSysctls(pid),
  };
}

function readDeviceRules(cgroups: string): string[] | undefined {
  const [, path] = /^\d+:devices:(.*)$/m.exec(cgroups) ?? [];
  const file = `/sys/fs/cgroup/devices${path}/devices.list`;
  if (path === undefined || !existsSync(file)) return undefined;
  return readFileSync(file, 'utf8').trim().split('\n').toSorted();
}

/** As a process of the container would read them. */
function readSysctls(pid: number): Record<string, string> {
  const files = sysctls.map((name) => `/proc/sys/${name.replaceAll('.', '/')}`);
  const { stdout } = spawnSync('nsenter', ['-t', String(pid), '-n', '-i', 'cat', ...files], {
    encoding: 'utf8',
  });
  const lines = stdout.trim().split('\n');
  return Object.fromEntries(sysctls.map((name, index) => [name, (lines[index] ?? '').replace(/\s+/g, ' ')]));
}
