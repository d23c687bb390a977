/** Which system call filter a process gets (CRI SecurityProfile; OCI config-linux.md Seccomp). */
import { RuntimeError } from '#base/errors.ts';
import type { SecurityProfile } from '../sandbox/config.ts';
import type { OciSeccomp } from './oci-spec.ts';
import { parseSeccompProfile } from './seccomp-parser.ts';
import { defaultRules } from './seccomp-profile.ts';
import { applicableRules, type SeccompFacts, seccompArchitectures } from './seccomp-rule.ts';

export interface SeccompInput extends SeccompFacts {
  /** undefined: unconfined (CRI LinuxContainerSecurityContext.seccomp). */
  readonly profile: SecurityProfile | undefined;
  readonly isPrivileged: boolean;
  /** The text of the file that a localhost profile names. */
  readonly localhostText: string | undefined;
}

/**
 * The filter for a process, or undefined for none: privileged, unconfined and absent profiles have none. Throws
 * InvalidArgument for a localhost profile that is missing or not valid, or a reference that does not fit its type.
 */
export function resolveSeccomp(input: SeccompInput): OciSeccomp | undefined {
  const { profile } = input;
  if (profile === undefined) return undefined;
  if (profile.type !== 'localhost' && profile.localhostRef !== '') {
    throw new RuntimeError(
      'InvalidArgument',
      `seccomp profile ${profile.localhostRef} is named, but the type is ${profile.type} and not localhost`,
    );
  }
  if (input.isPrivileged || profile.type === 'unconfined') return undefined;
  if (profile.type === 'runtimeDefault')
    // The node may have a default of its own; else it is the one built in.
    return input.localhostText === undefined
      ? defaultSeccomp(input)
      : parseSeccompProfile(input.localhostText, input, "the node's default");
  if (profile.localhostRef === '' || input.localhostText === undefined) {
    throw new RuntimeError(
      'InvalidArgument',
      profile.localhostRef === ''
        ? 'a seccomp profile of type localhost needs its path'
        : `seccomp profile ${profile.localhostRef} is not there`,
    );
  }
  return parseSeccompProfile(input.localhostText, input, profile.localhostRef);
}

/** Berth's own profile for these facts. */
export function defaultSeccomp(facts: SeccompFacts): OciSeccomp {
  const list = seccompArchitectures(facts.architecture);
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 1,
    ...(list.length > 0 ? { architectures: [...list] } : {}),
    syscalls: applicableRules(defaultRules, facts),
  };
}
