import type { ContainerConfig } from '#runtime/container/config.ts';
import type { SandboxConfig } from '#runtime/sandbox/config.ts';
import { invalidField } from './field.ts';

/** A container whose request says nothing of namespaces has those of its sandbox. */
export function adoptNamespaces(container: ContainerConfig, sandbox: SandboxConfig): ContainerConfig {
  return { ...container, security: { ...container.security, namespaces: sandbox.security.namespaces } };
}

/**
 * What a container may ask for only if its sandbox did: the node's namespaces, and privileges. The other way round is
 * no contradiction: clients leave the container's options out, and the sandbox's count.
 * Throws InvalidArgument. Source: CRI api.proto, LinuxContainerSecurityContext.privileged and NamespaceOption.
 */
export function checkAgreement(container: ContainerConfig, sandbox: SandboxConfig): void {
  const path = 'config.linux.security_context';
  if (container.security.isPrivileged && !sandbox.security.isPrivileged) {
    throw invalidField(`${path}.privileged`, 'must not be set unless the sandbox is privileged');
  }
  for (const namespace of ['network', 'ipc', 'pid'] as const) {
    const given = sandbox.security.namespaces[namespace];
    if (container.security.namespaces[namespace] === 'node' && given !== 'node') {
      throw invalidField(
        `${path}.namespace_options.${namespace}`,
        `is NODE, but that of the sandbox is ${given}`,
      );
    }
  }
}
