import { requireId } from '../convert/field.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** After it, a new file stands at the path of a running container's log. */
export function reopenContainerLog({
  containers,
}: Pick<CriServices, 'containers'>): UnaryHandler<'ReopenContainerLog'> {
  return async (request, signal) => {
    await containers.reopenLog(requireId(request.container_id, 'container_id'), signal);
    return {};
  };
}
