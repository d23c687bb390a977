import { requireText } from '../../convert/field.ts';
import type { AdminUnary } from '../method.ts';
import type { AdminServices } from '../services.ts';

/** Takes a name away from an image, and the image with its last one. Throws NotFound, FailedPrecondition. */
export function dropImage({
  images,
  layers,
}: Pick<AdminServices, 'images' | 'layers'>): AdminUnary<'DropImage'> {
  return async (request) => {
    const image = requireText(request.image, 'image', 4096);
    return images.remove(image, request.force, (id) => layers.usersOf(id));
  };
}
