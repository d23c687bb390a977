import { requireId, requireMessage } from '../convert/field.ts';
import { toResources } from '../convert/resources.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** Changes the limits of a created or running container. */
export function updateContainerResources({
  containers,
}: Pick<CriServices, 'containers'>): UnaryHandler<'UpdateContainerResources'> {
  return async (request, signal) => {
    const id = requireId(request.container_id, 'container_id');
    const resources = toResources(requireMessage(request.linux, 'linux'), 'linux');
    await containers.updateResources(id, resources, signal);
    return {};
  };
}
