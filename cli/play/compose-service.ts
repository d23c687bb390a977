/** A service of a Compose file as a pod of one container. */
import { resolve } from 'node:path';
import { initAnnotation, limitsAnnotation, shmSizeAnnotation } from '#base/managed-pod.ts';
import { nearestName } from '#daemon/config/nearest-name.ts';
import {
  MountPropagation,
  type PortMappingInit,
  SecurityProfile_ProfileType as ProfileType,
} from '#proto/generated/cri.ts';
import { UsageError } from '../command.ts';
import { maskedPaths, readonlyPaths, toSignal, toUser } from '../pod-request.ts';
import { parsePorts } from '../port-flags.ts';
import { parseDuration, parseSize } from '../quantity.ts';
import type { ComposeSurroundings, Project, Service, Words } from './compose-project.ts';
import { parseEnvFile, splitWords } from './compose-text.ts';
import type { ContainerPlan, HostsLine, MountPlan, PodPlan, PullWhen, VolumePlan } from './plan.ts';
import { capability } from './security.ts';
import type { Path, Source } from './source.ts';
import { stableUid } from './stable-uid.ts';

export interface ProjectPlace {
  readonly source: Source;
  readonly around: ComposeSurroundings;
  readonly name: string;
  readonly owner: string;
}

/** Reads one service; mistakes go to the source's findings. */
export class ServiceReader {
  readonly #service: string;
  readonly #text: Service;
  readonly #project: Project;
  readonly #at: ProjectPlace;
  readonly #volumes: Record<string, VolumePlan> = {};
  readonly #mounts: MountPlan[] = [];

  constructor(service: string, text: Service, project: Project, at: ProjectPlace) {
    this.#service = service;
    this.#text = text;
    this.#project = project;
    this.#at = at;
  }

  toPod(): PodPlan {
    const text = this.#text;
    const { name: project, owner } = this.#at;
    if (text.image === undefined)
      this.#problem('image', 'image is missing: it has to be built, or fetched, before');
    if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/.test(this.#service))
      this.#problem('', `${this.#service} is no name of a service`);
    const name = text.container_name ?? `${project}-${this.#service}`;
    const network = this.#network();
    this.#readVolumes();
    const seccompOff =
      text.privileged === true ||
      (text.security_opt ?? []).includes('seccomp:unconfined') ||
      (text.security_opt ?? []).includes('seccomp=unconfined');
    return {
      owner,
      namespace: project,
      name,
      uid: stableUid(`compose/${project}/${this.#service}`),
      labels: { ...this.#pairs('labels'), 'dev.berth/service': this.#service },
      annotations: this.#pairs('annotations'),
      marks: this.#marks(),
      hostname: network === 'host' ? '' : (text.hostname ?? this.#service).slice(0, 63),
      dns: toDns(text),
      ports: network === 'pod' ? this.#ports() : [],
      network,
      pid: text.pid === 'host' ? 'host' : 'container',
      ipc: text.ipc === 'host' ? 'host' : 'pod',
      sysctls: this.#pairs('sysctls'),
      seccomp: { profile_type: seccompOff ? ProfileType.Unconfined : ProfileType.RuntimeDefault },
      runtimeHandler: text.runtime ?? '',
      stopSeconds: this.#stopSeconds(),
      volumeGroup: undefined,
      volumes: this.#volumes,
      containers: [this.#container(name, seccompOff)],
      hosts: network === 'host' ? undefined : this.#hosts(),
      siblingNames: network === 'pod' ? [...new Set([this.#service, name])] : [],
    };
  }

  #container(fullName: string, seccompOff: boolean): ContainerPlan {
    const text = this.#text;
    const options = (text.security_opt ?? []).map((option) => option.replace(':', '='));
    for (const option of options)
      if (!/^(seccomp=unconfined|no-new-privileges(=true|=false)?|apparmor=.*|label=.*)$/.test(option))
        this.#problem('security_opt', `${option} is not known`);
    const isPrivileged = text.privileged === true;
    const entrypoint = this.#words('entrypoint');
    const command = this.#words('command');
    const user =
      this.#try('user', () => toUser(text.user === undefined ? undefined : String(text.user))) ?? {};
    return {
      name: this.#service,
      fullName,
      role: 'main',
      image: text.image ?? '',
      pull: this.#pull(),
      // An entry point of its own has no arguments of the image's; an empty one is none.
      command: entrypoint === undefined ? [] : entrypoint.length > 0 ? entrypoint : (command ?? []),
      args: entrypoint?.length === 0 ? [] : (command ?? []),
      expandsVariables: false,
      workingDir: text.working_dir ?? '',
      environment: Object.entries(this.#environment()).map(([name, value]) => ({ name, value: () => value })),
      mounts: this.#mounts,
      resources: this.#resources(),
      security: {
        capabilities: {
          add_capabilities: (text.cap_add ?? []).map(capability),
          drop_capabilities: (text.cap_drop ?? []).map(capability),
        },
        privileged: isPrivileged,
        readonly_rootfs: text.read_only === true,
        no_new_privs: options.some(
          (option) => option === 'no-new-privileges' || option === 'no-new-privileges=true',
        ),
        seccomp: { profile_type: seccompOff ? ProfileType.Unconfined : ProfileType.RuntimeDefault },
        supplemental_groups: (text.group_add ?? []).flatMap((group) => {
          if (/^\d+$/.test(String(group))) return [BigInt(group)];
          this.#problem('group_add', `${group}: groups are given by number`);
          return [];
        }),
        ...user,
        ...(isPrivileged ? {} : { masked_paths: maskedPaths, readonly_paths: readonlyPaths }),
      },
      pidsLimit: text.pids_limit ?? text.deploy?.resources?.limits?.pids,
      mustNotBeRoot: false,
      stdin: text.stdin_open === true,
      stdinOnce: false,
      tty: text.tty === true,
      stopSignal: this.#try('stop_signal', () => toSignal(text.stop_signal)) ?? 0,
    };
  }

  #path(field: string): Path {
    return ['services', this.#service, ...(field === '' ? [] : [field])];
  }

  #problem(field: string, message: string): void {
    this.#at.source.problem(this.#path(field), message);
  }

  /** What the flags of `berth run` say of a mistake, said of the field. */
  #try<T>(field: string, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      this.#problem(field, error.message.replace(/^--[a-z-]+: /, ''));
      return undefined;
    }
  }

  #network(): PodPlan['network'] {
    const mode = this.#text.network_mode ?? 'bridge';
    if (mode === 'host' || mode === 'none') return mode;
    if (mode !== 'bridge' && mode !== 'default')
      this.#problem('network_mode', `${mode}: there are bridge, host and none`);
    return 'pod';
  }

  #words(field: 'command' | 'entrypoint'): readonly string[] | undefined {
    const given = this.#text[field];
    if (given === undefined || given === null) return undefined;
    if (typeof given !== 'string') return given;
    const words = splitWords(given);
    if (words === undefined) this.#problem(field, 'a quote has no end');
    return words ?? [];
  }

  #pairs(
    field: 'labels' | 'annotations' | 'sysctls' | 'environment' | 'extra_hosts',
    separator = '=',
  ): Record<string, string> {
    const given = this.#text[field] ?? {};
    if (!Array.isArray(given))
      return Object.fromEntries(
        Object.entries(given).map(([name, value]) => [name, value === null ? '' : String(value)]),
      );
    return Object.fromEntries(
      (given as string[]).map((text) => {
        const at = text.includes('=') ? text.indexOf('=') : text.indexOf(separator);
        return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
      }),
    );
  }

  /** Files first, then the file itself; a name without a value passes on the one of whoever plays. */
  #environment(): Record<string, string> {
    const { around } = this.#at;
    const found: Record<string, string> = {};
    const files = this.#text.env_file ?? [];
    for (const entry of Array.isArray(files) ? files : [files]) {
      const { path, required = true } =
        typeof entry === 'string' ? { path: entry } : (entry as { path: string; required?: boolean });
      const content = around.readFile(resolve(around.folder, path));
      if (content === undefined) {
        if (required) this.#problem('env_file', `${path} cannot be read`);
        continue;
      }
      Object.assign(found, parseEnvFile(content));
    }
    const given = this.#text.environment ?? {};
    const entries: [string, string | undefined][] = Array.isArray(given)
      ? (given as string[]).map((text) => {
          const at = text.indexOf('=');
          return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
        })
      : Object.entries(given).map(([name, value]) => [name, value === null ? undefined : String(value)]);
    for (const [name, value] of entries) {
      const chosen = value ?? around.environment[name];
      if (chosen !== undefined) found[name] = chosen;
    }
    return found;
  }

  #ports(): PortMappingInit[] {
    return (this.#text.ports ?? []).flatMap((entry) => {
      const text =
        typeof entry === 'object'
          ? `${entry.host_ip === undefined ? '' : `${entry.host_ip}:`}${entry.published === undefined ? '' : `${entry.published}:`}${entry.target}/${entry.protocol ?? 'tcp'}`
          : String(entry);
      return (this.#try('ports', () => parsePorts(text)) ?? []).filter(({ host_port }) => {
        if (host_port !== 0) return true;
        this.#at.source.note(
          'ports without a port of this machine',
          this.#path('ports'),
          'say HOST:PORT to reach one from here',
        );
        return false;
      });
    });
  }

  #readVolumes(): void {
    for (const entry of this.#text.volumes ?? []) {
      if (typeof entry === 'string') this.#readShortVolume(entry);
      else
        this.#addMount(
          entry.type === 'tmpfs' || entry.source === undefined
            ? { kind: 'scratch', inMemory: entry.type === 'tmpfs' }
            : this.#volumeOf(
                entry.type === 'bind' && !/^[./~]/.test(entry.source) ? `./${entry.source}` : entry.source,
              ),
          entry.target,
          [entry.read_only === true ? 'ro' : 'rw', entry.bind?.propagation ?? ''],
          entry.volume?.subpath,
        );
    }
    const inMemory = this.#text.tmpfs ?? [];
    for (const path of typeof inMemory === 'string' ? [inMemory] : inMemory)
      this.#addMount({ kind: 'scratch', inMemory: true }, path.split(':')[0]!, []);
  }

  #readShortVolume(text: string): void {
    const [first = '', target, options = ''] = text.split(':');
    if (target === undefined) this.#addMount({ kind: 'scratch', inMemory: false }, first, []);
    else if (text.split(':').length > 3) this.#problem('volumes', `${text} is not SOURCE:PATH[:OPTIONS]`);
    else this.#addMount(this.#volumeOf(first), target, options.split(','));
  }

  /** A path is a folder of this machine; anything else the name of a volume. */
  #volumeOf(source: string): VolumePlan {
    const { around, name } = this.#at;
    if (/^[./~]/.test(source)) {
      const home = source.replace(/^~(?=\/|$)/, around.environment.HOME ?? '/root');
      return { kind: 'host', path: resolve(around.folder, home), type: 'Any' };
    }
    const declared = this.#project.volumes ?? {};
    if (!Object.hasOwn(declared, source)) {
      const near = nearestName(source, Object.keys(declared));
      this.#problem(
        'volumes',
        `the volume ${source} is not under volumes${near === undefined ? '; a folder begins with ./' : `, did you mean ${near}?`}`,
      );
    }
    return { kind: 'named', name: declared[source]?.name ?? `${name}_${source}` };
  }

  #addMount(volume: VolumePlan, path: string, options: readonly string[], subPath = ''): void {
    if (!path.startsWith('/')) this.#problem('volumes', `${path} is no absolute path`);
    if (subPath.startsWith('/') || subPath.split('/').includes('..'))
      this.#problem('volumes', `${subPath} leads out of the volume`);
    const propagations: Readonly<Record<string, MountPropagation>> = {
      rshared: MountPropagation.PROPAGATION_BIDIRECTIONAL,
      shared: MountPropagation.PROPAGATION_BIDIRECTIONAL,
      rslave: MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
      slave: MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
    };
    for (const option of options)
      if (!/^(|ro|rw|z|Z|cached|delegated|consistent|nocopy|r?private|r?shared|r?slave)$/.test(option))
        this.#problem('volumes', `the option ${option} is not known`);
    const name = `v${this.#mounts.length}`;
    this.#volumes[name] = volume;
    this.#mounts.push({
      volume: name,
      path,
      subPath,
      expandsSubPath: false,
      isReadOnly: options.includes('ro'),
      isRecursivelyReadOnly: false,
      propagation:
        options.map((option) => propagations[option]).find((one) => one !== undefined) ??
        MountPropagation.PROPAGATION_PRIVATE,
    });
  }

  #resources(): ContainerPlan['resources'] {
    const text = this.#text;
    const limits = text.deploy?.resources?.limits ?? {};
    const memory = this.#size('mem_limit', text.mem_limit ?? limits.memory);
    const swap = this.#size('memswap_limit', text.memswap_limit);
    const cpus = text.cpus ?? limits.cpus;
    if (cpus !== undefined && !(Number(cpus) > 0)) this.#problem('cpus', `${cpus} is no number above 0`);
    return {
      ...(memory === undefined ? {} : { memory_limit_in_bytes: BigInt(memory) }),
      ...(swap === undefined ? {} : { memory_swap_limit_in_bytes: BigInt(swap) }),
      ...(cpus === undefined || !(Number(cpus) > 0)
        ? {}
        : { cpu_period: 100_000n, cpu_quota: BigInt(Math.max(1000, Math.round(Number(cpus) * 100_000))) }),
      ...(text.cpu_shares === undefined ? {} : { cpu_shares: BigInt(text.cpu_shares) }),
      ...(text.cpuset === undefined ? {} : { cpuset_cpus: text.cpuset }),
    };
  }

  /** What the CRI has no fields for. */
  #marks(): Record<string, string> {
    const { init, shm_size, ulimits } = this.#text;
    const shmBytes = this.#size('shm_size', shm_size);
    const limits = Object.entries(ulimits ?? {}).map(([name, limit]) => [
      name,
      typeof limit === 'number' ? [limit, limit] : [limit.soft, limit.hard],
    ]);
    return {
      ...(init === true ? { [initAnnotation]: 'true' } : {}),
      ...(shmBytes === undefined ? {} : { [shmSizeAnnotation]: String(shmBytes) }),
      ...(limits.length === 0 ? {} : { [limitsAnnotation]: JSON.stringify(Object.fromEntries(limits)) }),
    };
  }

  #size(field: string, given: string | number | undefined): number | undefined {
    if (given === undefined) return undefined;
    const found = String(given) === '-1' ? -1 : parseSize(String(given));
    if (found === undefined) this.#problem(field, `${given} is no size such as 64m`);
    return found;
  }

  #stopSeconds(): number {
    const given = this.#text.stop_grace_period;
    if (given === undefined) return 10;
    const ms = parseDuration(given);
    if (ms === undefined) this.#problem('stop_grace_period', `${given} is no time such as 1m30s`);
    return Math.ceil((ms ?? 0) / 1000);
  }

  #pull(): PullWhen {
    const policy = this.#text.pull_policy ?? 'missing';
    if (policy === 'always' || policy === 'never') return policy;
    if (!/^(missing|if_not_present|build|daily|weekly|every_.*)$/.test(policy))
      this.#problem('pull_policy', `${policy} is not known`);
    return 'missing';
  }

  #hosts(): HostsLine[] {
    return Object.entries(this.#pairs('extra_hosts', ':')).map(([name, ip]) => ({
      ip: ip.replace(/^\[|\]$/g, ''),
      names: [name],
    }));
  }
}

function toDns({ dns, dns_search }: Service): PodPlan['dns'] {
  if (dns === undefined && dns_search === undefined) return undefined;
  const list = (given: Words | undefined) =>
    given === undefined ? [] : typeof given === 'string' ? [given] : given;
  return { servers: list(dns), searches: list(dns_search), options: [] };
}
