import { checkText } from '../../convert/field.ts';
import type { AdminUpload } from '../method.ts';
import type { AdminServices } from '../services.ts';
import { openUpload } from '../upload.ts';

/** Images of an archive. Throws InvalidArgument (archive refused), ResourceExhausted. */
export function loadImages({ images }: Pick<AdminServices, 'images'>): AdminUpload<'LoadImages'> {
  return async (requests, signal) => {
    const { first, bytes } = await openUpload(requests, 'loading images');
    const tag = checkText(first.tag, 'tag', 4096);
    const loaded = await images.load(bytes, tag, signal);
    return { images: loaded.map(({ id, names }) => ({ id, names })) };
  };
}
