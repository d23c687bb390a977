/**
 * Seccomp filters that crun need not compile. Turning a profile into a kernel filter costs crun about as much as all else of
 * making a container (10 of 21 ms, measured with crun 1.8.1 and the default profile), and the result is the same each
 * time. crun leaves it as `seccomp.bpf` in a container's state directory, and takes such a filter by annotation
 * (crun(1), run.oci.seccomp_bpf_data). Other OCI runtimes do not know the annotation.
 */
import type { OciSeccomp, OciSpec } from './oci-spec.ts';

/** Holds the filter; not for others to see. */
export const compiledSeccompAnnotation = 'run.oci.seccomp_bpf_data';

/** What a compiled filter belongs to: profiles with the same key compile to the same filter, with the same crun on the same machine. */
export function seccompKey(seccomp: OciSeccomp): string {
  return JSON.stringify([
    seccomp.defaultAction,
    seccomp.defaultErrnoRet,
    seccomp.architectures,
    seccomp.syscalls,
  ]);
}

/**
 * The spec with `filter` in place of its profile's rules; for crun only. A crun that did not know the annotation would deny
 * every system call, so that no container runs unfiltered. A spec without seccomp comes back as it is.
 */
export function withCompiledSeccomp(spec: OciSpec, filter: Uint8Array): OciSpec {
  const { seccomp } = spec.linux;
  if (seccomp === undefined) return spec;
  const { syscalls: _, architectures: __, ...rest } = seccomp;
  return {
    ...spec,
    annotations: { ...spec.annotations, [compiledSeccompAnnotation]: Buffer.from(filter).toString('base64') },
    linux: { ...spec.linux, seccomp: { ...rest, defaultAction: 'SCMP_ACT_ERRNO' } },
  };
}
