import { requireId } from '../../convert/field.ts';
import type { AdminUnary } from '../method.ts';
import type { AdminServices } from '../services.ts';

/** Answers when a container has ended. Throws NotFound, also if it is removed meanwhile. */
export function waitContainer({
  operations,
}: Pick<AdminServices, 'operations'>): AdminUnary<'WaitContainer'> {
  return async (request, signal) => {
    const ended = await operations.wait(requireId(request.container_id, 'container_id'), signal);
    return {
      exit_code: ended.exitCode,
      finished_at: ended.finishedAtNs,
      reason: ended.reason,
      message: ended.message,
    };
  };
}
