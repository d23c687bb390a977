import { requireId, secondsToTimerMs } from '../convert/field.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** Asks a container to end, and kills it after `timeout` seconds; at once when that is 0 or less. Idempotent. */
export function stopContainer({
  containers,
}: Pick<CriServices, 'containers'>): UnaryHandler<'StopContainer'> {
  return async (request, signal) => {
    const id = requireId(request.container_id, 'container_id');
    await containers.stop(id, secondsToTimerMs(request.timeout), signal);
    return {};
  };
}
