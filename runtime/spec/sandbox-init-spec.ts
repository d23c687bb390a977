/**
 * The spec of a sandbox's init: the PID 1 of a PID namespace that the pod's containers share. It reaps orphans and holds
 * the namespace, nothing else, so it runs without capabilities, as nobody in particular, on a root file system that holds
 * one read-only file. Sandboxes that share no PID namespace have no init.
 */
import { RuntimeError } from '#base/errors.ts';
import { sandboxInitAnnotations } from './annotations.ts';
import { apparmorProfile } from './apparmor.ts';
import { noCapabilities } from './capabilities.ts';
import { cgroupsPath } from './cgroups-path.ts';
import { ociVersion } from './container-spec.ts';
import { defaultDeviceRules } from './devices.ts';
import type { SandboxInitSpecInput } from './inputs.ts';
import { effectiveNamespaces, idMappings, namespaceList } from './namespaces.ts';
import type { OciMount, OciProcess, OciSpec, OciUser } from './oci-spec.ts';
import { oomScoreAdj } from './oom-score.ts';
import { defaultPath } from './process.ts';
import { resolveSeccomp } from './seccomp.ts';
import { type SelinuxLabels, selinuxLabels } from './selinux.ts';

const initDestination = '/init';
/** What the kubelet's own pause container runs as. */
const unprivilegedId = 65535;
/** Lower than any pod's: without its init a pod is lost (kubelet, pkg/kubelet/qos). */
const initOomScoreAdj = -998;
/** The least the kernel accepts. */
const initCpuShares = 2;

/**
 * Builds the init's spec, for a sandbox that shares its PID namespace. The init is `catatonit -P` or one that likewise takes
 * `-P` to wait and reap. Throws what the parts throw: InvalidArgument for a bad profile or label, FailedPrecondition for a namespace
 * that does not exist.
 */
export function buildSandboxInitSpec(input: SandboxInitSpecInput): OciSpec {
  const { config, host } = input;
  const { security } = config;
  const labels = selinuxLabels({
    isEnabled: host.isSelinuxEnabled,
    options: security.selinux,
    podLevel: input.selinuxLevel ?? '',
    isPrivileged: false,
  });
  const { userns } = security.namespaces;
  const seccomp = resolveSeccomp({
    profile: security.seccomp,
    isPrivileged: security.isPrivileged,
    localhostText: input.localhostSeccompProfile,
    architecture: host.architecture,
    kernelVersion: host.kernelVersion,
    capabilities: [],
  });
  return {
    ociVersion,
    process: initProcess(input, labels),
    root: { path: input.rootfsPath, readonly: true },
    mounts: initMounts(input.initPath),
    annotations: sandboxInitAnnotations(input.sandboxId, config),
    linux: {
      ...(userns === undefined
        ? {}
        : { uidMappings: idMappings(userns.uids), gidMappings: idMappings(userns.gids) }),
      resources: { devices: defaultDeviceRules(), cpu: { shares: initCpuShares } },
      cgroupsPath: cgroupsPath(host.cgroupDriver, config.cgroupParent, input.sandboxId),
      namespaces: namespaceList({
        effective: effectiveNamespaces({ ...security.namespaces, pid: 'container' }, security.namespaces),
        paths: { ...input.paths, pidnsPath: '' },
        targetPidnsPath: '',
        isPrivileged: false,
        host,
      }),
      ...(seccomp === undefined ? {} : { seccomp }),
      ...(labels === undefined ? {} : { mountLabel: labels.mount }),
    },
  };
}

function initProcess(input: SandboxInitSpecInput, labels: SelinuxLabels | undefined): OciProcess {
  const { host } = input;
  const { security } = input.config;
  const apparmor = apparmorProfile({
    profile: security.apparmor,
    isPrivileged: security.isPrivileged,
    isEnabled: host.isAppArmorEnabled,
    defaultProfile: host.defaultApparmorProfile,
    loadedProfiles: input.loadedApparmorProfiles ?? [],
  });
  return {
    user: initUser(input),
    args: [initDestination, '-P'],
    env: [`PATH=${defaultPath}`],
    cwd: '/',
    capabilities: structuredClone(noCapabilities),
    noNewPrivileges: true,
    ...(apparmor === undefined ? {} : { apparmorProfile: apparmor }),
    oomScoreAdj: oomScoreAdj(initOomScoreAdj, host),
    ...(labels === undefined ? {} : { selinuxLabel: labels.process }),
  };
}

/** The sandbox's own user if one is asked for, else an unprivileged id, provided that a user namespace maps it. */
function initUser(input: SandboxInitSpecInput): OciUser {
  const { security } = input.config;
  if (security.runAsGroup !== undefined && security.runAsUser === undefined) {
    throw new RuntimeError(
      'InvalidArgument',
      `run_as_group ${security.runAsGroup} of the sandbox was given without run_as_user`,
    );
  }
  const mapped = security.namespaces.userns?.uids[0]?.length ?? Number.POSITIVE_INFINITY;
  const fallback = unprivilegedId < mapped ? unprivilegedId : 0;
  const uid = security.runAsUser ?? fallback;
  const gid = security.runAsGroup ?? fallback;
  const gids = new Set([gid, ...security.supplementalGroups]);
  return { uid, gid, additionalGids: [...gids].sort((a, b) => a - b) };
}

function initMounts(initPath: string): OciMount[] {
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=64k'],
    },
    {
      destination: initDestination,
      type: 'bind',
      source: initPath,
      options: ['bind', 'rprivate', 'nosuid', 'nodev', 'ro'],
    },
  ];
}
