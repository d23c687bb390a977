import { checkText, requireId } from '../../convert/field.ts';
import type { AdminUnary } from '../method.ts';
import type { AdminServices } from '../services.ts';

/** Sends a signal to a running container. Throws NotFound, FailedPrecondition, InvalidArgument (signal). */
export function killContainer({
  operations,
}: Pick<AdminServices, 'operations'>): AdminUnary<'KillContainer'> {
  return async (request) => {
    const id = requireId(request.container_id, 'container_id');
    await operations.kill(id, checkText(request.signal, 'signal', 32) || 'SIGKILL');
    return {};
  };
}
