import { checkText, invalidField, requireId } from '../../convert/field.ts';
import type { AdminUnary } from '../method.ts';
import type { AdminServices } from '../services.ts';

const mostChanges = 200;

/** A new image of a container. Throws NotFound, FailedPrecondition, InvalidArgument. */
export function commitContainer({
  images,
  layers,
}: Pick<AdminServices, 'images' | 'layers'>): AdminUnary<'CommitContainer'> {
  return async (request, signal) => {
    const { changes } = request;
    if (changes.length > mostChanges) throw invalidField('changes', `has more than ${mostChanges} entries`);
    const options = {
      reference: checkText(request.reference, 'reference', 4096),
      author: checkText(request.author, 'author', 4096),
      message: checkText(request.message, 'message', 64 << 10),
      changes: changes.map((line) => checkText(line, 'changes', 64 << 10)),
    };
    const id = requireId(request.container_id, 'container_id');
    const image = await layers.use(
      id,
      request.pause,
      (source, either) => images.commit(source, options, either),
      signal,
    );
    return { image_id: image };
  };
}
