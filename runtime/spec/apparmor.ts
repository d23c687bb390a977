/** Which AppArmor profile confines a process (CRI SecurityProfile; LinuxContainerSecurityContext.apparmor). */
import { RuntimeError } from '#base/errors.ts';
import type { SecurityProfile } from '../sandbox/config.ts';

export interface ApparmorInput {
  /** undefined: the client said nothing, which means the runtime's default. */
  readonly profile: SecurityProfile | undefined;
  readonly isPrivileged: boolean;
  readonly isEnabled: boolean;
  /** The profile that stands for "runtime default"; undefined: there is none, and it confines nothing. */
  readonly defaultProfile: string | undefined;
  /** Names in /sys/kernel/security/apparmor/profiles. */
  readonly loadedProfiles: readonly string[];
}

const localhostPrefix = 'localhost/';

/**
 * The profile's name for the spec, or undefined for none. Privileged skips the default but keeps a named profile. Throws
 * InvalidArgument for a reference that does not fit its type, FailedPrecondition for a profile that the kernel does not
 * hold, so that creating the container fails and not its start.
 */
export function apparmorProfile(input: ApparmorInput): string | undefined {
  const { profile } = input;
  if (profile !== undefined) checkReference(profile);
  if (profile?.type === 'unconfined') return undefined;
  if (!input.isEnabled) {
    if (profile === undefined) return undefined;
    throw new RuntimeError(
      'FailedPrecondition',
      'an AppArmor profile is asked for but AppArmor is off on this node',
    );
  }
  const name = profile?.type === 'localhost' ? localName(profile) : defaultName(input);
  if (name !== undefined && !input.loadedProfiles.includes(name)) {
    throw new RuntimeError(
      'FailedPrecondition',
      `AppArmor profile ${name} is not loaded on this node, load it with apparmor_parser`,
    );
  }
  return name;
}

function defaultName(input: ApparmorInput): string | undefined {
  return input.isPrivileged ? undefined : input.defaultProfile;
}

function localName(profile: SecurityProfile): string {
  const { localhostRef } = profile;
  return localhostRef.startsWith(localhostPrefix) ? localhostRef.slice(localhostPrefix.length) : localhostRef;
}

function checkReference(profile: SecurityProfile): void {
  const isLocalhost = profile.type === 'localhost';
  if (isLocalhost && localName(profile) === '') {
    throw new RuntimeError('InvalidArgument', 'an AppArmor profile of type localhost needs its name');
  }
  if (!isLocalhost && profile.localhostRef !== '') {
    throw new RuntimeError(
      'InvalidArgument',
      `AppArmor profile ${profile.localhostRef} is named, but the type is ${profile.type} and not localhost`,
    );
  }
}
