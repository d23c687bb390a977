/** CRI PodSandboxConfig to SandboxConfig, with every check that needs no host. */
import { isIP } from 'node:net';
import {
  type DNSConfig,
  type LinuxPodSandboxConfig,
  type LinuxSandboxSecurityContext,
  type PodSandboxConfig,
  type PodSandboxMetadata,
  type PortMapping,
  Protocol,
} from '#proto/generated/cri.ts';
import type {
  DnsConfig,
  PodMetadata,
  PodPortMapping,
  SandboxConfig,
  SandboxSecurity,
} from '#runtime/sandbox/config.ts';
import {
  checkCount,
  checkMap,
  checkNumber,
  checkText,
  invalidField,
  maxMapBytes,
  refuseParents,
  requireAbsolutePath,
  requireMessage,
  requireName,
  requireText,
  toWord,
} from './field.ts';
import { toNamespaceOptions } from './namespace-options.ts';
import { toResources } from './resources.ts';
import { toGroups, toId, toSecurityProfile, toSelinuxOptions } from './security.ts';

const protocols: Readonly<Record<number, PodPortMapping['protocol']>> = {
  [Protocol.TCP]: 'tcp',
  [Protocol.UDP]: 'udp',
  [Protocol.SCTP]: 'sctp',
};

/** Throws InvalidArgument naming the first field that is wrong. */
export function toSandboxConfig(message: PodSandboxConfig | undefined, path = 'config'): SandboxConfig {
  const config = requireMessage(message, path);
  const linux = config.linux;
  const security = toSecurity(linux?.security_context, `${path}.linux.security_context`);
  return {
    metadata: toMetadata(config.metadata, `${path}.metadata`),
    hostname: toHostname(config.hostname, `${path}.hostname`),
    logDirectory: toLogDirectory(config.log_directory, `${path}.log_directory`),
    dns: toDns(config.dns_config, `${path}.dns_config`),
    portMappings: checkCount(config.port_mappings, `${path}.port_mappings`, 65_536).map((mapping, index) =>
      toPortMapping(mapping, `${path}.port_mappings[${index}]`),
    ),
    labels: checkMap(config.labels, `${path}.labels`, maxMapBytes),
    annotations: checkMap(config.annotations, `${path}.annotations`, maxMapBytes),
    cgroupParent: toCgroupParent(linux?.cgroup_parent ?? '', `${path}.linux.cgroup_parent`),
    sysctls: toSysctls(linux?.sysctls ?? {}, `${path}.linux.sysctls`),
    security,
    overhead: resourcesOf(linux, 'overhead', path),
    resources: resourcesOf(linux, 'resources', path),
  };
}

function toMetadata(message: PodSandboxMetadata | undefined, path: string): PodMetadata {
  const metadata = requireMessage(message, path);
  return {
    name: requireName(metadata.name, `${path}.name`),
    uid: requireName(metadata.uid, `${path}.uid`),
    namespace: requireName(metadata.namespace, `${path}.namespace`),
    attempt: metadata.attempt,
  };
}

/** At most 64 bytes (sethostname(2)); it also becomes a line of files, so nothing that breaks a line. */
function toHostname(hostname: string, path: string): string {
  checkText(hostname, path, 64);
  if (!/^[\w.-]*$/.test(hostname)) throw invalidField(path, `is no host name: ${JSON.stringify(hostname)}`);
  return hostname;
}

function toLogDirectory(directory: string, path: string): string {
  if (directory === '') return directory;
  requireAbsolutePath(directory, path);
  refuseParents(directory, path);
  return directory;
}

function toDns(message: DNSConfig | undefined, path: string): DnsConfig | undefined {
  if (message === undefined) return undefined;
  for (const part of ['servers', 'searches', 'options'] as const) {
    checkCount(message[part], `${path}.${part}`, 1000).forEach((word, index) => {
      // Each becomes a word of resolv.conf.
      checkText(word, `${path}.${part}[${index}]`, 1024);
      if (word === '' || /\s/.test(word)) {
        throw invalidField(`${path}.${part}[${index}]`, `must be one word: ${JSON.stringify(word)}`);
      }
    });
  }
  return { servers: message.servers, searches: message.searches, options: message.options };
}

function toPortMapping(message: PortMapping, path: string): PodPortMapping {
  checkNumber(message.host_port, `${path}.host_port`, 0, 65_535);
  // A mapping without a host port does nothing, whatever else it says.
  checkNumber(message.container_port, `${path}.container_port`, message.host_port === 0 ? 0 : 1, 65_535);
  if (message.host_ip !== '' && isIP(message.host_ip) === 0) {
    throw invalidField(`${path}.host_ip`, `is no IP address: ${JSON.stringify(message.host_ip)}`);
  }
  return {
    protocol: toWord(message.protocol, protocols, `${path}.protocol`),
    containerPort: message.container_port,
    hostPort: message.host_port,
    hostIp: message.host_ip,
  };
}

function toCgroupParent(parent: string, path: string): string {
  checkText(parent, path, 4095);
  refuseParents(parent, path);
  return parent;
}

/** Which of them a pod may set, `runtime/spec/sysctls.ts` says; here only what no sysctl can hold is refused. */
function toSysctls(
  sysctls: Readonly<Record<string, string>>,
  path: string,
): Readonly<Record<string, string>> {
  checkCount(Object.keys(sysctls), path, 1000);
  for (const [name, value] of Object.entries(sysctls)) {
    requireText(name, path, 1024);
    checkText(value, `${path}[${name}]`, 4096);
    if (value.includes('\n')) throw invalidField(`${path}[${name}]`, 'must be one line');
  }
  return sysctls;
}

function resourcesOf(linux: LinuxPodSandboxConfig | undefined, part: 'overhead' | 'resources', path: string) {
  const message = linux?.[part];
  return message && toResources(message, `${path}.linux.${part}`);
}

function toSecurity(message: LinuxSandboxSecurityContext | undefined, path: string): SandboxSecurity {
  const runAsUser = toId(message?.run_as_user, `${path}.run_as_user`);
  const runAsGroup = toId(message?.run_as_group, `${path}.run_as_group`);
  if (runAsGroup !== undefined && runAsUser === undefined) {
    throw invalidField(`${path}.run_as_group`, 'must not be set without run_as_user');
  }
  return {
    namespaces: toNamespaceOptions(message?.namespace_options, `${path}.namespace_options`, 'sandbox'),
    selinux: toSelinuxOptions(message?.selinux_options, `${path}.selinux_options`),
    runAsUser,
    runAsGroup,
    readonlyRootfs: message?.readonly_rootfs ?? false,
    supplementalGroups: toGroups(message?.supplemental_groups ?? [], `${path}.supplemental_groups`),
    isPrivileged: message?.privileged ?? false,
    seccomp: toSecurityProfile(message?.seccomp, `${path}.seccomp`, {
      value: message?.seccomp_profile_path ?? '',
      path: `${path}.seccomp_profile_path`,
    }),
    apparmor: toSecurityProfile(message?.apparmor, `${path}.apparmor`, undefined),
  };
}
