/**
 * Rules of a seccomp profile with the conditions under which they hold, and how they become the flat list of the OCI
 * runtime-spec (config-linux.md Seccomp).
 */
import type { OciSeccomp } from './oci-spec.ts';

export type OciSyscallRule = NonNullable<OciSeccomp['syscalls']>[number];
export type SyscallArgument = NonNullable<OciSyscallRule['args']>[number];

/** All of a condition's parts must hold for `includes`; one that holds is enough for `excludes`. */
export interface RuleCondition {
  readonly caps?: readonly string[];
  /** In Go's spelling: amd64, arm64. */
  readonly arches?: readonly string[];
  /** `MAJOR.MINOR`. */
  readonly minKernel?: string;
}

export interface ProfileRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly SyscallArgument[];
  readonly includes?: RuleCondition;
  readonly excludes?: RuleCondition;
}

/** What the conditions of a profile are held against. */
export interface SeccompFacts {
  /** In Go's spelling. */
  readonly architecture: string;
  /** As `uname -r` prints it; absent: newer than any minimum. */
  readonly kernelVersion?: string | undefined;
  /** The process's bounding set. */
  readonly capabilities: readonly string[];
}

/** The architecture itself and those whose programs it also runs. */
const architectures: Readonly<Record<string, readonly string[]>> = {
  amd64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  '386': ['SCMP_ARCH_X86'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
  arm: ['SCMP_ARCH_ARM'],
  ppc64le: ['SCMP_ARCH_PPC64LE'],
  s390x: ['SCMP_ARCH_S390X', 'SCMP_ARCH_S390'],
  riscv64: ['SCMP_ARCH_RISCV64'],
  loong64: ['SCMP_ARCH_LOONGARCH64'],
};

/** The SCMP_ARCH names of an architecture, the native one first; empty for one not known here. */
export function seccompArchitectures(architecture: string): readonly string[] {
  return architectures[architecture] ?? [];
}

/** The rules whose conditions hold, without the conditions. */
export function applicableRules(rules: readonly ProfileRule[], facts: SeccompFacts): OciSyscallRule[] {
  return rules.filter((rule) => isApplicable(rule, facts)).map(toOciRule);
}

function toOciRule(rule: ProfileRule): OciSyscallRule {
  return {
    names: [...rule.names],
    action: rule.action,
    ...(rule.errnoRet === undefined ? {} : { errnoRet: rule.errnoRet }),
    ...(rule.args === undefined || rule.args.length === 0
      ? {}
      : { args: rule.args.map((arg) => ({ ...arg })) }),
  };
}

function isApplicable({ includes = {}, excludes = {} }: ProfileRule, facts: SeccompFacts): boolean {
  const isIncluded =
    (includes.caps ?? []).every((name) => facts.capabilities.includes(name)) &&
    (includes.arches === undefined ||
      includes.arches.length === 0 ||
      includes.arches.includes(facts.architecture)) &&
    isKernelAtLeast(includes.minKernel, facts.kernelVersion);
  if (!isIncluded) return false;
  const isExcluded =
    (excludes.caps ?? []).some((name) => facts.capabilities.includes(name)) ||
    (excludes.arches ?? []).includes(facts.architecture) ||
    (excludes.minKernel !== undefined && isKernelAtLeast(excludes.minKernel, facts.kernelVersion));
  return !isExcluded;
}

function isKernelAtLeast(minimum: string | undefined, version: string | undefined): boolean {
  if (minimum === undefined || minimum === '' || version === undefined) return true;
  const [wantedMajor = 0, wantedMinor = 0] = minimum.split('.').map(Number);
  const [major = 0, minor = 0] = version.split(/[.-]/).map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}
