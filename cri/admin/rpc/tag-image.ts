import { requireText } from '../../convert/field.ts';
import type { AdminUnary } from '../method.ts';
import type { AdminServices } from '../services.ts';

/** Gives an image another name. Throws NotFound, InvalidArgument. */
export function tagImage({ images }: Pick<AdminServices, 'images'>): AdminUnary<'TagImage'> {
  return async (request) => {
    const image = requireText(request.image, 'image', 4096);
    const { reference, id } = await images.tag(image, requireText(request.target, 'target', 4096));
    return { reference, image_id: id };
  };
}
