import { requireId } from '../convert/field.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** Starts a created container. */
export function startContainer({
  containers,
}: Pick<CriServices, 'containers'>): UnaryHandler<'StartContainer'> {
  return async (request, signal) => {
    await containers.start(requireId(request.container_id, 'container_id'), signal);
    return {};
  };
}
