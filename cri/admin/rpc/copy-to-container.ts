import { requireAbsolutePath, requireId } from '../../convert/field.ts';
import type { AdminUpload } from '../method.ts';
import type { AdminServices } from '../services.ts';
import { openUpload } from '../upload.ts';

/** Unpacks a tar stream in a folder of a container. Throws NotFound (container, folder), InvalidArgument (archive). */
export function copyToContainer({
  operations,
}: Pick<AdminServices, 'operations'>): AdminUpload<'CopyToContainer'> {
  return async (requests, signal) => {
    const { first, bytes } = await openUpload(requests, 'copying to a container');
    const id = requireId(first.container_id, 'container_id');
    const path = requireAbsolutePath(first.path, 'path');
    await operations.copyTo(id, path, bytes, { keepOwner: first.keep_owner }, signal);
    return {};
  };
}
