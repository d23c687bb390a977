import { requireId } from '../convert/field.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** Removes a sandbox and all its containers. Idempotent. */
export function removePodSandbox({
  sandboxes,
}: Pick<CriServices, 'sandboxes'>): UnaryHandler<'RemovePodSandbox'> {
  return async (request, signal) => {
    await sandboxes.remove(requireId(request.pod_sandbox_id, 'pod_sandbox_id'), signal);
    return {};
  };
}
