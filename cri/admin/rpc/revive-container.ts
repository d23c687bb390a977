import { requireId } from '../../convert/field.ts';
import type { AdminUnary } from '../method.ts';
import type { AdminServices } from '../services.ts';

/** Makes an exited container of a managed pod startable again. Idempotent. */
export function reviveContainer({
  operations,
}: Pick<AdminServices, 'operations'>): AdminUnary<'ReviveContainer'> {
  return async (request, signal) => {
    await operations.revive(requireId(request.container_id, 'container_id'), signal);
    return {};
  };
}
