import { RuntimeError } from '#base/errors.ts';
import { requireAbsolutePath, requireId } from '../../convert/field.ts';
import type { AdminRequest, AdminUpload } from '../method.ts';
import type { AdminServices } from '../services.ts';

/** Unpacks a tar stream in a folder of a container. Throws NotFound (container, folder), InvalidArgument (archive). */
export function copyToContainer({
  operations,
}: Pick<AdminServices, 'operations'>): AdminUpload<'CopyToContainer'> {
  return async (requests, signal) => {
    const messages = requests[Symbol.asyncIterator]();
    const first = await messages.next();
    if (first.done === true)
      throw new RuntimeError('InvalidArgument', 'copying to a container: the request has no message');
    const id = requireId(first.value.container_id, 'container_id');
    const path = requireAbsolutePath(first.value.path, 'path');
    const archive = dataOf(first.value.data, messages);
    await operations.copyTo(id, path, archive, { keepOwner: first.value.keep_owner }, signal);
    return {};
  };
}

async function* dataOf(
  first: Buffer,
  rest: AsyncIterator<AdminRequest<'CopyToContainer'>>,
): AsyncGenerator<Buffer> {
  if (first.length > 0) yield first;
  for (;;) {
    const next = await rest.next();
    if (next.done === true) return;
    if (next.value.data.length > 0) yield next.value.data;
  }
}
