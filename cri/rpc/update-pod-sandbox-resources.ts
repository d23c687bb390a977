import { requireId } from '../convert/field.ts';
import { toResources } from '../convert/resources.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** Notes the sums of a pod's limits; the kubelet has changed the pod's cgroup already. */
export function updatePodSandboxResources({
  sandboxes,
}: Pick<CriServices, 'sandboxes'>): UnaryHandler<'UpdatePodSandboxResources'> {
  return async (request) => {
    const id = requireId(request.pod_sandbox_id, 'pod_sandbox_id');
    await sandboxes.updateResources(
      id,
      request.overhead && toResources(request.overhead, 'overhead'),
      request.resources && toResources(request.resources, 'resources'),
    );
    return {};
  };
}
