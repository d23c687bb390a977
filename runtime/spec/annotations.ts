/**
 * Annotations of a spec. Ours say what the container is, under the names that tools which read bundles already know.
 * Those of the request follow, without the ones that steer an OCI runtime: some make crun write files on the host or load
 * plugins, and annotations are not where such power is granted.
 */
import type { ContainerConfig } from '../container/config.ts';
import type { SandboxConfig } from '../sandbox/config.ts';

const steeringPrefixes = ['run.oci.', 'org.systemd.property.', 'org.criu.', 'module.wasm.', 'krun.'];

/** Annotations of a container's spec. */
export function containerAnnotations(input: {
  readonly sandboxId: string;
  readonly config: ContainerConfig;
  readonly sandboxConfig: SandboxConfig;
  readonly imageReference: string;
}): Record<string, string> {
  return {
    ...withoutSteering(input.config.annotations),
    ...sandboxFacts(input.sandboxId, input.sandboxConfig),
    'io.kubernetes.cri.container-type': 'container',
    'io.kubernetes.cri.container-name': input.config.metadata.name,
    'io.kubernetes.cri.image-name': input.imageReference,
  };
}

/** Annotations of the spec of a sandbox's init. */
export function sandboxInitAnnotations(sandboxId: string, config: SandboxConfig): Record<string, string> {
  return { ...sandboxFacts(sandboxId, config), 'io.kubernetes.cri.container-type': 'sandbox' };
}

function sandboxFacts(sandboxId: string, config: SandboxConfig): Record<string, string> {
  return {
    'io.kubernetes.cri.sandbox-id': sandboxId,
    'io.kubernetes.cri.sandbox-name': config.metadata.name,
    'io.kubernetes.cri.sandbox-namespace': config.metadata.namespace,
    'io.kubernetes.cri.sandbox-uid': config.metadata.uid,
    'io.kubernetes.cri.sandbox-log-directory': config.logDirectory,
  };
}

function withoutSteering(annotations: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(annotations).filter(
      ([name]) => name !== '' && !steeringPrefixes.some((prefix) => name.startsWith(prefix)),
    ),
  );
}
