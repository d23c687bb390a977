/** CRI ContainerConfig to ContainerConfig, with every check that needs no host. */
import { isUtf8 } from 'node:buffer';
import {
  type ContainerConfig as ConfigMessage,
  type KeyValue,
  type LinuxContainerSecurityContext,
  SupplementalGroupsPolicy,
} from '#proto/generated/cri.ts';
import type { Capabilities, ContainerConfig, ContainerSecurity } from '#runtime/container/config.ts';
import {
  checkCount,
  checkMap,
  checkRelativePath,
  checkText,
  invalidField,
  maxMapBytes,
  requireAbsolutePath,
  requireMessage,
  requireName,
  requireText,
  toWord,
} from './field.ts';
import { toDevice, toImageSpec, toMount } from './mount.ts';
import { toNamespaceOptions } from './namespace-options.ts';
import { toResources } from './resources.ts';
import { toGroups, toId, toSecurityProfile, toSelinuxOptions } from './security.ts';
import { signalName } from './signal.ts';

/** execve(2) takes no string longer than 32 pages (MAX_ARG_STRLEN), its terminator included. */
const maxArgumentBytes = 131_071;
const maxArguments = 65_536;
const maxMounts = 10_000;

const groupsPolicies: Readonly<Record<number, 'merge' | 'strict'>> = {
  [SupplementalGroupsPolicy.Merge]: 'merge',
  [SupplementalGroupsPolicy.Strict]: 'strict',
};

/** Throws InvalidArgument naming the first field that is wrong. */
export function toContainerConfig(message: ConfigMessage | undefined, path = 'config'): ContainerConfig {
  const config = requireMessage(message, path);
  const metadata = requireMessage(config.metadata, `${path}.metadata`);
  const image = requireMessage(config.image, `${path}.image`);
  requireText(image.image, `${path}.image.image`, 4096);
  const resources = config.linux?.resources;
  return {
    metadata: { name: requireName(metadata.name, `${path}.metadata.name`), attempt: metadata.attempt },
    image: toImageSpec(image, `${path}.image`),
    command: toArguments(config.command, `${path}.command`),
    args: toArguments(config.args, `${path}.args`),
    workingDir:
      config.working_dir === '' ? '' : requireAbsolutePath(config.working_dir, `${path}.working_dir`),
    envs: checkCount(config.envs, `${path}.envs`, maxArguments).map((env, index) =>
      toEnv(env, `${path}.envs[${index}]`),
    ),
    mounts: checkCount(config.mounts, `${path}.mounts`, maxMounts).map((mount, index) =>
      toMount(mount, `${path}.mounts[${index}]`),
    ),
    devices: checkCount(config.devices, `${path}.devices`, maxMounts).map((device, index) =>
      toDevice(device, `${path}.devices[${index}]`),
    ),
    labels: checkMap(config.labels, `${path}.labels`, maxMapBytes),
    annotations: checkMap(config.annotations, `${path}.annotations`, maxMapBytes),
    logPath: checkRelativePath(config.log_path, `${path}.log_path`),
    hasStdin: config.stdin,
    stdinOnce: config.stdin_once,
    hasTty: config.tty,
    resources: resources && toResources(resources, `${path}.linux.resources`),
    security: toContainerSecurity(config.linux?.security_context, `${path}.linux.security_context`),
    cdiDevices: checkCount(config.CDI_devices, `${path}.CDI_devices`, maxMounts).map(({ name }, index) =>
      toCdiName(name, `${path}.CDI_devices[${index}].name`),
    ),
    stopSignal: signalName(config.stop_signal, `${path}.stop_signal`),
  };
}

/** Words of a command line. */
export function toArguments(words: readonly string[], path: string): readonly string[] {
  checkCount(words, path, maxArguments).forEach((word, index) => {
    checkText(word, `${path}[${index}]`, maxArgumentBytes);
  });
  return words;
}

/** Values are bytes on the wire, but the OCI spec is JSON and can hold only UTF-8. */
function toEnv(env: KeyValue, path: string): { key: string; value: string } {
  requireText(env.key, `${path}.key`, maxArgumentBytes);
  if (env.key.includes('='))
    throw invalidField(`${path}.key`, `must not contain "=": ${JSON.stringify(env.key)}`);
  if (!isUtf8(env.value)) throw invalidField(`${path}.value`, `of ${env.key} is not UTF-8`);
  const value = env.value.toString('utf8');
  checkText(value, `${path}.value`, maxArgumentBytes);
  return { key: env.key, value };
}

/** `vendor.com/class=device` (CDI, SPEC.md, "Kind"). */
function toCdiName(name: string, path: string): string {
  requireText(name, path, 1024);
  if (!/^[\w.-]+\/[\w.-]+=[\w.:-]+$/.test(name)) {
    throw invalidField(path, `must have the form vendor/class=device: ${JSON.stringify(name)}`);
  }
  return name;
}

function toContainerSecurity(
  message: LinuxContainerSecurityContext | undefined,
  path: string,
): ContainerSecurity {
  const runAsUser = toId(message?.run_as_user, `${path}.run_as_user`);
  const runAsGroup = toId(message?.run_as_group, `${path}.run_as_group`);
  const runAsUsername = checkText(message?.run_as_username ?? '', `${path}.run_as_username`, 256);
  if (runAsGroup !== undefined && runAsUser === undefined && runAsUsername === '') {
    throw invalidField(`${path}.run_as_group`, 'must not be set without run_as_user or run_as_username');
  }
  return {
    namespaces: toNamespaceOptions(message?.namespace_options, `${path}.namespace_options`, 'container'),
    capabilities: toCapabilities(message, `${path}.capabilities`),
    isPrivileged: message?.privileged ?? false,
    selinux: toSelinuxOptions(message?.selinux_options, `${path}.selinux_options`),
    runAsUser,
    runAsGroup,
    runAsUsername,
    readonlyRootfs: message?.readonly_rootfs ?? false,
    supplementalGroups: toGroups(message?.supplemental_groups ?? [], `${path}.supplemental_groups`),
    supplementalGroupsPolicy: toWord(
      message?.supplemental_groups_policy ?? SupplementalGroupsPolicy.Merge,
      groupsPolicies,
      `${path}.supplemental_groups_policy`,
    ),
    seccomp: toSecurityProfile(message?.seccomp, `${path}.seccomp`, {
      value: message?.seccomp_profile_path ?? '',
      path: `${path}.seccomp_profile_path`,
    }),
    apparmor: toSecurityProfile(message?.apparmor, `${path}.apparmor`, {
      value: message?.apparmor_profile ?? '',
      path: `${path}.apparmor_profile`,
    }),
    noNewPrivs: message?.no_new_privs ?? false,
    maskedPaths: toPaths(message?.masked_paths ?? [], `${path}.masked_paths`),
    readonlyPaths: toPaths(message?.readonly_paths ?? [], `${path}.readonly_paths`),
  };
}

function toCapabilities(message: LinuxContainerSecurityContext | undefined, path: string): Capabilities {
  const names = (list: readonly string[] | undefined, field: string): readonly string[] => {
    (list ?? []).forEach((name, index) => {
      if (!/^[A-Za-z][A-Za-z0-9_]{1,63}$/.test(name)) {
        throw invalidField(`${path}.${field}[${index}]`, `is no capability: ${JSON.stringify(name)}`);
      }
    });
    return list ?? [];
  };
  const capabilities = message?.capabilities;
  return {
    add: names(capabilities?.add_capabilities, 'add_capabilities'),
    drop: names(capabilities?.drop_capabilities, 'drop_capabilities'),
    addAmbient: names(capabilities?.add_ambient_capabilities, 'add_ambient_capabilities'),
  };
}

function toPaths(paths: readonly string[], field: string): readonly string[] {
  checkCount(paths, field, 10_000).forEach((entry, index) => {
    requireAbsolutePath(entry, `${field}[${index}]`);
  });
  return paths;
}
