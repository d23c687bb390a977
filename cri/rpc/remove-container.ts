import { requireId } from '../convert/field.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** Removes a container, killing it first if need be. Idempotent. */
export function removeContainer({
  containers,
}: Pick<CriServices, 'containers'>): UnaryHandler<'RemoveContainer'> {
  return async (request, signal) => {
    await containers.remove(requireId(request.container_id, 'container_id'), signal);
    return {};
  };
}
