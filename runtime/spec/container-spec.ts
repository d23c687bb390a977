/**
 * The OCI spec (`config.json`) of a container, from the request, the image and facts that others looked up. Pure: the
 * same inputs give the same spec. Each part is decided in the file of its name; here they are only put together.
 */

import { RuntimeError } from '#base/errors.ts';
import { pidsLimitOf } from '#base/managed-pod.ts';
import { containerAnnotations } from './annotations.ts';
import { apparmorProfile } from './apparmor.ts';
import { resolveCapabilities } from './capabilities.ts';
import { cgroupsPath } from './cgroups-path.ts';
import { containerDevices } from './devices.ts';
import type { ContainerSpecInput } from './inputs.ts';
import { managedExtras, withExtraLimits, withExtraMounts } from './managed-extras.ts';
import { containerMounts, rootfsPropagation } from './mounts.ts';
import { type EffectiveNamespaces, effectiveNamespaces, idMappings, namespaceList } from './namespaces.ts';
import type { OciDeviceRule, OciProcess, OciResources, OciSpec } from './oci-spec.ts';
import { oomScoreAdj } from './oom-score.ts';
import { processArgs, processCwd, processEnv } from './process.ts';
import { noResources, toOciResources } from './resources.ts';
import { resolveSeccomp } from './seccomp.ts';
import { type SelinuxLabels, selinuxLabels } from './selinux.ts';

/** Every `1.0` is understood by the OCI runtimes in use; some refuse a version that does not contain it. */
export const ociVersion = '1.0.2';

/**
 * Builds a container's spec. Throws InvalidArgument for a request that contradicts itself, its sandbox or its image, and
 * FailedPrecondition for one that this node or sandbox cannot meet; the parts' functions say which.
 * Source: CRI api.proto, ContainerConfig; OCI runtime-spec config.md and config-linux.md.
 */
export function buildContainerSpec(input: ContainerSpecInput): OciSpec {
  const { security } = input.config;
  const sandboxSecurity = input.sandboxConfig.security;
  if (security.isPrivileged && !sandboxSecurity.isPrivileged) {
    throw new RuntimeError(
      'InvalidArgument',
      'a privileged container is asked for in a sandbox that is not privileged',
    );
  }
  const effective = effectiveNamespaces(security.namespaces, sandboxSecurity.namespaces);
  const labels = selinuxLabels({
    isEnabled: input.host.isSelinuxEnabled,
    options: security.selinux ?? sandboxSecurity.selinux,
    podLevel: input.selinuxLevel ?? '',
    isPrivileged: security.isPrivileged,
  });
  const extras = managedExtras(input);
  const process = withExtraLimits(buildProcess(input, labels), extras);
  return {
    ociVersion,
    process,
    root: { path: input.rootfsPath, ...(security.readonlyRootfs ? { readonly: true } : {}) },
    mounts: withExtraMounts(containerMounts({ ...input, effective }), extras, input.initPath),
    annotations: containerAnnotations(input),
    linux: buildLinux(input, effective, labels, process),
  };
}

function buildProcess(input: ContainerSpecInput, labels: SelinuxLabels | undefined): OciProcess {
  const { config, imageConfig, host, user } = input;
  const { security } = config;
  const apparmor = apparmorProfile({
    profile: security.apparmor,
    isPrivileged: security.isPrivileged,
    isEnabled: host.isAppArmorEnabled,
    defaultProfile: host.defaultApparmorProfile,
    loadedProfiles: input.loadedApparmorProfiles ?? [],
  });
  return {
    ...(config.hasTty ? { terminal: true } : {}),
    user: { uid: user.uid, gid: user.gid, additionalGids: [...user.additionalGids] },
    args: processArgs(config, imageConfig),
    env: processEnv({
      hostname: input.hostname,
      hasTty: config.hasTty,
      home: user.home,
      imageEnv: imageConfig.env,
      envs: config.envs,
    }),
    cwd: processCwd(config.workingDir, imageConfig.workingDir),
    capabilities: resolveCapabilities(
      security.capabilities,
      security.isPrivileged,
      host.boundingCapabilities,
    ),
    noNewPrivileges: security.noNewPrivs,
    ...(apparmor === undefined ? {} : { apparmorProfile: apparmor }),
    oomScoreAdj: oomScoreAdj(config.resources?.oomScoreAdj ?? 0, host),
    ...(labels === undefined ? {} : { selinuxLabel: labels.process }),
  };
}

function buildLinux(
  input: ContainerSpecInput,
  effective: EffectiveNamespaces,
  labels: SelinuxLabels | undefined,
  process: OciProcess,
): OciSpec['linux'] {
  const { config, host } = input;
  const { security } = config;
  const { devices, rules } = containerDevices(input.devices, security.isPrivileged);
  const propagation = rootfsPropagation(input.mounts);
  const seccomp = resolveSeccomp({
    profile: security.seccomp,
    isPrivileged: security.isPrivileged,
    localhostText: input.localhostSeccompProfile,
    architecture: host.architecture,
    kernelVersion: host.kernelVersion,
    capabilities: process.capabilities?.bounding ?? [],
  });
  return {
    ...(effective.userns === undefined
      ? {}
      : {
          uidMappings: idMappings(effective.userns.uids),
          gidMappings: idMappings(effective.userns.gids),
        }),
    resources: limits(input, rules),
    cgroupsPath: cgroupsPath(host.cgroupDriver, input.sandboxConfig.cgroupParent, input.containerId),
    namespaces: namespaceList({
      effective,
      paths: input.paths,
      targetPidnsPath: input.targetPidnsPath,
      isPrivileged: security.isPrivileged,
      host,
    }),
    ...(devices.length > 0 ? { devices } : {}),
    ...(seccomp === undefined ? {} : { seccomp }),
    ...(propagation === undefined ? {} : { rootfsPropagation: propagation }),
    ...(security.isPrivileged ? {} : hiddenPaths(security)),
    ...(labels === undefined ? {} : { mountLabel: labels.mount }),
  };
}

function limits(input: ContainerSpecInput, devices: OciDeviceRule[]): OciResources {
  const resources = toOciResources(input.config.resources ?? noResources, input.host);
  const limit = pidsLimitOf(input.config.annotations, input.defaultPidsLimit);
  const pids = limit > 0 ? { pids: { limit } } : {};
  return { devices, ...resources, ...pids };
}

/** Exactly as sent; the kubelet sends the usual lists itself (CRI LinuxContainerSecurityContext.masked_paths). */
function hiddenPaths(security: ContainerSpecInput['config']['security']): Partial<OciSpec['linux']> {
  return {
    ...(security.maskedPaths.length > 0 ? { maskedPaths: [...security.maskedPaths] } : {}),
    ...(security.readonlyPaths.length > 0 ? { readonlyPaths: [...security.readonlyPaths] } : {}),
  };
}
