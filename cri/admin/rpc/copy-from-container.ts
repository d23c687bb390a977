import { requireAbsolutePath, requireId } from '../../convert/field.ts';
import type { AdminStream } from '../method.ts';
import type { AdminServices } from '../services.ts';

/** A file or folder of a container as a tar stream. Throws NotFound (container, path), FailedPrecondition. */
export function copyFromContainer({
  operations,
}: Pick<AdminServices, 'operations'>): AdminStream<'CopyFromContainer'> {
  return async (request, send, signal) => {
    const id = requireId(request.container_id, 'container_id');
    const path = requireAbsolutePath(request.path, 'path');
    const options = { followLink: request.follow_link };
    await operations.copyFrom(id, path, options, (data) => send({ data }), signal);
  };
}
