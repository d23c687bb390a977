import { requireId } from '../convert/field.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** Kills the containers of a sandbox and gives its network back. Idempotent. */
export function stopPodSandbox({
  sandboxes,
}: Pick<CriServices, 'sandboxes'>): UnaryHandler<'StopPodSandbox'> {
  return async (request, signal) => {
    await sandboxes.stop(requireId(request.pod_sandbox_id, 'pod_sandbox_id'), signal);
    return {};
  };
}
