import { requireAbsolutePath, requireId } from '../../convert/field.ts';
import type { AdminUnary } from '../method.ts';
import type { AdminServices } from '../services.ts';

/** What is at a path of a container. Throws NotFound (container), FailedPrecondition. */
export function statPath({ operations }: Pick<AdminServices, 'operations'>): AdminUnary<'StatPath'> {
  return async (request, signal) => {
    const id = requireId(request.container_id, 'container_id');
    const path = requireAbsolutePath(request.path, 'path');
    const found = await operations.statPath(id, path, { followLink: request.follow_link }, signal);
    if (found === undefined) return {};
    const { type, mode, sizeBytes, linkTarget } = found;
    return { type, mode, size_bytes: BigInt(sizeBytes), link_target: linkTarget };
  };
}
