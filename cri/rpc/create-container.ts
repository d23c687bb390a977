import { adoptNamespaces, checkAgreement } from '../convert/agreement.ts';
import { toContainerConfig } from '../convert/container-config.ts';
import { requireId } from '../convert/field.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** Creates a container in a ready sandbox. The sandbox's own record counts, not the sandbox_config that comes along. */
export function createContainer({
  sandboxes,
  containers,
}: Pick<CriServices, 'sandboxes' | 'containers'>): UnaryHandler<'CreateContainer'> {
  return async (request, signal) => {
    const sandboxId = requireId(request.pod_sandbox_id, 'pod_sandbox_id');
    const requested = toContainerConfig(request.config);
    const sandbox = sandboxes.get(sandboxId).config;
    const saysNamespaces = request.config?.linux?.security_context?.namespace_options !== undefined;
    const config = saysNamespaces ? requested : adoptNamespaces(requested, sandbox);
    checkAgreement(config, sandbox);
    return { container_id: await containers.create(sandboxId, config, signal) };
  };
}
