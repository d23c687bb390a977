import { requireText } from '../convert/field.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** Removes an image with all its references. Idempotent. */
export function removeImage({ images }: Pick<CriServices, 'images'>): UnaryHandler<'RemoveImage'> {
  return async (request) => {
    await images.remove(requireText(request.image?.image ?? '', 'image.image', 4096));
    return {};
  };
}
