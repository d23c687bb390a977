/**
 * What `run` and `create` ask the CRI for: a pod of one container. Pure, but for files that flags name, which the caller
 * reads. Defaults of confinement are those that docker's users know.
 */
import { posix, resolve } from 'node:path';
import {
  hostsAnnotation,
  initAnnotation,
  limitsAnnotation,
  managedByLabel,
  nameLabel,
  networkAnnotation,
  onExitLabel,
  pidsLimitAnnotation,
  shmSizeAnnotation,
  stopSecondsAnnotation,
  tmpfsAnnotation,
  volumesAnnotation,
} from '#base/managed-pod.ts';
import {
  type ContainerConfigInit,
  type DeviceInit,
  type LinuxContainerResourcesInit,
  NamespaceMode,
  type NamespaceOptionInit,
  type PodSandboxConfigInit,
  type PortMappingInit,
  SecurityProfile_ProfileType as ProfileType,
  type SecurityProfileInit,
  Signal,
} from '#proto/generated/cri.ts';
import { UsageError } from './command.ts';
import type { FlagValues } from './flag-values.ts';
import { type JoinedPod, joinedLabel, joinedName } from './joined-pod.ts';
import { hostLines, limitsByName, userNamespace } from './kernel-flags.ts';
import { anonymousPaths, tmpfsByPath, toMounts, volumesOf } from './mount-flags.ts';
import { cliNamespace, managedByCli } from './names.ts';
import { formatPort, publishedPorts } from './port-flags.ts';

/** Told by `ps` and `port`: the CRI keeps port mappings to itself. */
export const portsAnnotation = 'dev.berth/ports';

/** What a kubelet hides of the node by default; docker does the same. */
export const maskedPaths = [
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
export const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

const cpuPeriodUs = 100_000;

export interface PodRequest {
  readonly sandbox: PodSandboxConfigInit;
  readonly container: ContainerConfigInit;
  readonly runtimeHandler: string;
}

export interface RequestSource {
  readonly flags: FlagValues;
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Texts of the files of --env-file, in their order. */
  readonly envFiles: readonly string[];
  readonly workingDir: string;
  /** The daemon's folder for logs of managed pods. */
  readonly logRoot: string;
  /** In it; the name unless given. */
  readonly logFolder?: string;
  readonly removeOnExit: boolean;
  /** Where the daemon keeps the volumes that `namedVolumes` tells of. */
  readonly volumePath?: (name: string) => string;
  /** What `publishedPorts` tells of, with host ports that the daemon chose. */
  readonly ports?: readonly PortMappingInit[];
  /** The pod of `--network container:NAME`. */
  readonly joined?: JoinedPod;
}

/** Throws UsageError for a flag that cannot be meant so. */
export function toPodRequest(source: RequestSource): PodRequest {
  const { flags, name } = source;
  const restart = flags.string('restart');
  if (restart !== 'no')
    throw new UsageError(
      `--restart ${restart}: Berth starts no container again by itself`,
      'A kubelet does, and so does systemd with `berth start -a NAME` in a unit with Restart=.',
    );
  checkName(name);
  const ports = source.ports ?? publishedPorts(flags, []);
  const isJoining = joinedName(flags) !== undefined;
  const namespaces = {
    network:
      source.joined?.network ?? (flags.string('network') === 'host' ? NamespaceMode.NODE : NamespaceMode.POD),
    pid: flags.string('pid') === 'host' ? NamespaceMode.NODE : NamespaceMode.CONTAINER,
    ipc: flags.string('ipc') === 'host' ? NamespaceMode.NODE : NamespaceMode.POD,
    ...userNamespace(flags),
  };
  const labels = {
    ...pairs(flags.list('label'), '--label'),
    [managedByLabel]: managedByCli,
    [nameLabel]: name,
    // The pod is the other's: what becomes of it is not said here.
    ...(isJoining
      ? { [joinedLabel]: source.joined?.name ?? '' }
      : { [onExitLabel]: source.removeOnExit ? 'remove' : 'stop' }),
  };
  const annotations = {
    ...pairs(flags.list('annotation'), '--annotation'),
    ...(ports.length > 0 ? { [portsAnnotation]: ports.map(formatPort).join(', ') } : {}),
    ...(flags.string('network') === 'none' ? { [networkAnnotation]: 'none' } : {}),
    ...extras(flags),
    ...(flags.has('pids-limit') ? { [pidsLimitAnnotation]: String(flags.integer('pids-limit')) } : {}),
  };
  const security = toSecurity(flags);
  const sandbox: PodSandboxConfigInit = {
    // The uid is the name, so that the daemon refuses a second pod of the same name.
    metadata: { name, uid: name, namespace: cliNamespace, attempt: 0 },
    hostname:
      namespaces.network === NamespaceMode.NODE ? '' : (flags.string('hostname') ?? name.slice(0, 63)),
    // Another container may come to have the name, after a rename.
    log_directory: posix.join(source.logRoot, source.logFolder ?? name),
    port_mappings: [...ports],
    labels,
    annotations,
    ...dnsOf(flags),
    linux: {
      security_context: {
        namespace_options: namespaces,
        privileged: flags.boolean('privileged'),
        seccomp: { profile_type: ProfileType.RuntimeDefault },
      },
      sysctls: pairs(flags.list('sysctl'), '--sysctl'),
    },
  };
  return {
    sandbox,
    runtimeHandler: flags.string('runtime') ?? '',
    container: toContainer(source, { labels, annotations, security, namespaces }),
  };
}

/** What the CRI has no field for, and the daemon reads from annotations. */
function extras(flags: FlagValues): Record<string, string> {
  const volumes = volumesOf(flags);
  const json = (name: string, value: object): Record<string, string> =>
    Object.keys(value).length === 0 ? {} : { [name]: JSON.stringify(value) };
  const shmBytes = flags.size('shm-size');
  if (shmBytes !== undefined && shmBytes <= 0) throw new UsageError('--shm-size must be more than 0');
  if (shmBytes !== undefined && flags.string('ipc') === 'host')
    throw new UsageError("--shm-size says nothing with --ipc host: /dev/shm is the node's");
  return {
    ...json(volumesAnnotation, anonymousPaths(volumes)),
    ...json(tmpfsAnnotation, tmpfsByPath(volumes)),
    ...json(limitsAnnotation, limitsByName(flags.list('ulimit'))),
    ...json(hostsAnnotation, hostLines(flags.list('add-host'))),
    ...(flags.boolean('init') ? { [initAnnotation]: 'true' } : {}),
    ...(shmBytes === undefined ? {} : { [shmSizeAnnotation]: String(shmBytes) }),
    ...(flags.has('stop-timeout') ? { [stopSecondsAnnotation]: String(flags.integer('stop-timeout')) } : {}),
  };
}

function toContainer(
  source: RequestSource,
  {
    labels,
    annotations,
    security,
    namespaces,
  }: Record<'labels' | 'annotations', Record<string, string>> & {
    readonly security: ReturnType<typeof toSecurity>;
    readonly namespaces: NamespaceOptionInit;
  },
): ContainerConfigInit {
  const { flags, name, image, command } = source;
  const entrypoint = flags.string('entrypoint');
  const hasStdin = flags.boolean('interactive');
  const hasTty = flags.boolean('tty');
  const devices = flags.list('device');
  return {
    metadata: { name, attempt: 0 },
    image: { image, user_specified_image: image },
    // An empty entry point is none: the words are the whole command, whatever the image has.
    ...(entrypoint === undefined
      ? { args: command }
      : entrypoint === ''
        ? { command }
        : { command: [entrypoint], args: command }),
    working_dir: flags.string('workdir') ?? '',
    envs: toEnvironment(source).map(([key, value]) => ({ key, value: Buffer.from(value) as never })),
    mounts: toMounts(volumesOf(flags), source.workingDir, source.volumePath ?? (() => '')),
    devices: devices.filter((text) => !isCdiDevice(text)).map(parseDevice),
    CDI_devices: devices.filter(isCdiDevice).map((device) => ({ name: device })),
    labels,
    annotations,
    log_path: `${name}.log`,
    stdin: hasStdin,
    // With a terminal one may come back; without one, the end of what is piped in is the end of its input.
    stdin_once: hasStdin && !hasTty,
    tty: hasTty,
    stop_signal: toSignal(flags.string('stop-signal')),
    linux: {
      resources: {
        ...toResources(flags),
        ...(flags.has('oom-score-adj') ? { oom_score_adj: BigInt(oomScore(flags)) } : {}),
      },
      security_context: { ...security, namespace_options: namespaces },
    },
  };
}

/** Names are host names and folders too. Throws UsageError. */
export function checkName(name: string, flag = '--name'): void {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/.test(name))
    throw new UsageError(
      `${flag}: ${JSON.stringify(name)} is no name for a container`,
      'Letters, digits, dots, dashes and underscores, at most 63, a letter or digit first.',
    );
}

function toSecurity(flags: FlagValues) {
  const isPrivileged = flags.boolean('privileged');
  const options = flags.list('security-opt').map((text) => text.replace(':', '='));
  let seccomp: SecurityProfileInit = { profile_type: ProfileType.RuntimeDefault };
  let apparmor: SecurityProfileInit | undefined;
  let noNewPrivs = false;
  for (const option of options) {
    const [key, value = ''] = splitOnce(option, '=');
    if (key === 'seccomp') seccomp = toProfile(value);
    else if (key === 'apparmor') apparmor = toProfile(value);
    else if (key === 'no-new-privileges') noNewPrivs = value !== 'false';
    else throw new UsageError(`--security-opt: ${JSON.stringify(option)} is not known`);
  }
  if (isPrivileged) seccomp = { profile_type: ProfileType.Unconfined };
  return {
    capabilities: {
      add_capabilities: flags.list('cap-add').map(capability),
      drop_capabilities: flags.list('cap-drop').map(capability),
    },
    privileged: isPrivileged,
    readonly_rootfs: flags.boolean('read-only'),
    no_new_privs: noNewPrivs,
    seccomp,
    ...(apparmor === undefined ? {} : { apparmor }),
    ...(isPrivileged ? {} : { masked_paths: maskedPaths, readonly_paths: readonlyPaths }),
    ...toUser(flags.string('user')),
    supplemental_groups: flags.list('group-add').map((text) => BigInt(requireId(text, '--group-add'))),
  };
}

function toProfile(value: string): SecurityProfileInit {
  if (value === 'unconfined') return { profile_type: ProfileType.Unconfined };
  return value === '' || value === 'default' || value === 'builtin'
    ? { profile_type: ProfileType.RuntimeDefault }
    : { profile_type: ProfileType.Localhost, localhost_ref: value.startsWith('.') ? resolve(value) : value };
}

/** As the CRI has them: without CAP_, in capitals. */
function capability(text: string): string {
  return text.toUpperCase().replace(/^CAP_/, '');
}

/** The user of `-u`: `name`, `1000`, `1000:1000`. */
export function toUser(text: string | undefined) {
  if (text === undefined || text === '') return {};
  const [user, group] = splitOnce(text, ':');
  return {
    ...(/^\d+$/.test(user) ? { run_as_user: { value: BigInt(user) } } : { run_as_username: user }),
    ...(group === undefined ? {} : { run_as_group: { value: BigInt(requireId(group, '--user')) } }),
  };
}

function requireId(text: string, flag: string): number {
  if (!/^\d{1,10}$/.test(text))
    throw new UsageError(`${flag}: ${JSON.stringify(text)} is no number of a group`);
  return Number(text);
}

function oomScore(flags: FlagValues): number {
  const score = flags.integer('oom-score-adj')!;
  if (score < -1000 || score > 1000) throw new UsageError('--oom-score-adj must be from -1000 to 1000');
  return score;
}

/** Limits of `run` and `update`; {} for none. */
export function toResources(flags: FlagValues): LinuxContainerResourcesInit {
  const memory = flags.size('memory');
  const swap = flags.size('memory-swap');
  const cpus = flags.number('cpus');
  if (cpus !== undefined && cpus <= 0) throw new UsageError('--cpus must be more than 0');
  if (swap !== undefined && swap >= 0 && memory === undefined)
    throw new UsageError('--memory-swap counts memory too: it needs --memory');
  return {
    ...(memory === undefined ? {} : { memory_limit_in_bytes: BigInt(memory) }),
    ...(swap === undefined ? {} : { memory_swap_limit_in_bytes: BigInt(swap) }),
    ...(cpus === undefined
      ? {}
      : {
          cpu_period: BigInt(cpuPeriodUs),
          cpu_quota: BigInt(Math.max(1000, Math.round(cpus * cpuPeriodUs))),
        }),
    ...(flags.has('cpu-shares') ? { cpu_shares: BigInt(flags.integer('cpu-shares')!) } : {}),
    ...(flags.has('cpuset-cpus') ? { cpuset_cpus: flags.string('cpuset-cpus')! } : {}),
  };
}

/** Files first, then flags; the last of a name counts. */
function toEnvironment({ flags, environment, envFiles }: RequestSource): [string, string][] {
  const found = new Map<string, string>();
  const put = (text: string): void => {
    const [name, value] = splitOnce(text, '=');
    if (name === '') throw new UsageError(`--env: ${JSON.stringify(text)} has no name`);
    const chosen = value ?? environment[name];
    if (chosen !== undefined) found.set(name, chosen);
  };
  for (const file of envFiles)
    for (const line of file.split('\n')) {
      const text = line.replace(/\r$/, '').trimStart();
      if (text !== '' && !text.startsWith('#')) put(text);
    }
  for (const text of flags.list('env')) put(text);
  return [...found];
}

function isCdiDevice(text: string): boolean {
  return /^[a-z][\w.-]*\/[\w.-]+=.+$/i.test(text) && !text.startsWith('/');
}

function parseDevice(text: string): DeviceInit {
  const [host = '', ...more] = text.split(':');
  const permissions = more.find((part) => /^[rwm]+$/.test(part)) ?? 'rwm';
  const path = more.find((part) => part.startsWith('/')) ?? host;
  if (!host.startsWith('/')) throw new UsageError(`--device: ${JSON.stringify(text)} is no path of a device`);
  return { host_path: host, container_path: path, permissions };
}

function dnsOf(flags: FlagValues): Pick<PodSandboxConfigInit, 'dns_config'> {
  const servers = flags.list('dns');
  const searches = flags.list('dns-search');
  return servers.length + searches.length === 0 ? {} : { dns_config: { servers, searches } };
}

export function toSignal(text: string | undefined): number {
  if (text === undefined) return 0;
  const upper = text.toUpperCase();
  const signal = (upper.startsWith('SIG') ? upper : `SIG${upper}`).replace('+', 'PLUS').replace('-', 'MINUS');
  const numbers: Readonly<Record<string, number>> = Signal;
  const number = numbers[`SIGNAL_${signal}`];
  if (number === undefined)
    throw new UsageError(`--stop-signal: ${JSON.stringify(text)} is no name of a signal`);
  return number;
}

function pairs(texts: readonly string[], flag: string): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const [name, value = ''] = splitOnce(text, '=');
      if (name === '') throw new UsageError(`${flag}: ${JSON.stringify(text)} has no name`);
      return [name, value];
    }),
  );
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
