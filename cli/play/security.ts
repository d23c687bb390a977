/** Confinement as manifests have it, in the terms of the CRI. */
import { resolve } from 'node:path';
import {
  type LinuxContainerSecurityContextInit,
  SecurityProfile_ProfileType as ProfileType,
  type SecurityProfileInit,
  SupplementalGroupsPolicy,
} from '#proto/generated/cri.ts';
import { maskedPaths, readonlyPaths } from '../pod-request.ts';
import type { ContainerSecurity, PodSecurity, Profile } from './manifest.ts';

/** RuntimeDefault unless the manifest says otherwise: here nobody has clusters to keep compatible. */
export function profile(wanted: Profile | undefined, localFolder: string): SecurityProfileInit {
  if (wanted?.type === 'Unconfined') return { profile_type: ProfileType.Unconfined };
  if (wanted?.type !== 'Localhost') return { profile_type: ProfileType.RuntimeDefault };
  return {
    profile_type: ProfileType.Localhost,
    localhost_ref: resolve(localFolder, wanted.localhostProfile ?? ''),
  };
}

/** A container's own settings go before its pod's. */
export function toSecurity(
  own: ContainerSecurity,
  pod: PodSecurity,
  seccompFolder: string,
): LinuxContainerSecurityContextInit {
  const isPrivileged = own.privileged === true;
  const user = own.runAsUser ?? pod.runAsUser;
  const group = own.runAsGroup ?? pod.runAsGroup;
  const appArmor = own.appArmorProfile ?? pod.appArmorProfile;
  const selinux = own.seLinuxOptions ?? pod.seLinuxOptions;
  const groups = [...(pod.supplementalGroups ?? []), ...(pod.fsGroup === undefined ? [] : [pod.fsGroup])];
  return {
    capabilities: {
      add_capabilities: (own.capabilities?.add ?? []).map(capability),
      drop_capabilities: (own.capabilities?.drop ?? []).map(capability),
    },
    privileged: isPrivileged,
    readonly_rootfs: own.readOnlyRootFilesystem === true,
    no_new_privs: own.allowPrivilegeEscalation === false,
    ...(user === undefined ? {} : { run_as_user: { value: BigInt(user) } }),
    ...(group === undefined ? {} : { run_as_group: { value: BigInt(group) } }),
    supplemental_groups: groups.map(BigInt),
    supplemental_groups_policy:
      pod.supplementalGroupsPolicy === 'Strict'
        ? SupplementalGroupsPolicy.Strict
        : SupplementalGroupsPolicy.Merge,
    seccomp: isPrivileged
      ? { profile_type: ProfileType.Unconfined }
      : profile(own.seccompProfile ?? pod.seccompProfile, seccompFolder),
    ...(appArmor === undefined ? {} : { apparmor: appArmorProfile(appArmor) }),
    ...(selinux === undefined ? {} : { selinux_options: selinux }),
    ...(isPrivileged || own.procMount === 'Unmasked'
      ? {}
      : { masked_paths: maskedPaths, readonly_paths: readonlyPaths }),
  };
}

function appArmorProfile({ type, localhostProfile = '' }: Profile): SecurityProfileInit {
  return type === 'Localhost'
    ? { profile_type: ProfileType.Localhost, localhost_ref: localhostProfile }
    : { profile_type: ProfileType[type] };
}

/** As the CRI has them: without CAP_, in capitals. */
export function capability(name: string): string {
  return name.toUpperCase().replace(/^CAP_/, '');
}
