import { orAborted } from '#base/abort.ts';
import { requireId } from '../../convert/field.ts';
import type { AdminStream } from '../method.ts';
import type { AdminServices } from '../services.ts';

/** What a container changed in its root file system. Throws NotFound, FailedPrecondition. */
export function diffContainer({
  images,
  layers,
}: Pick<AdminServices, 'images' | 'layers'>): AdminStream<'DiffContainer'> {
  return async (request, send, signal) => {
    const id = requireId(request.container_id, 'container_id');
    await layers.use(
      id,
      false,
      (source, either) =>
        images.listChanges(
          source,
          (changes) => orAborted(send({ changes: [...changes] }), either, 'listing changes'),
          either,
        ),
      signal,
    );
  };
}
