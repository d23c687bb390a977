import { requireText } from '../convert/field.ts';
import { toCredentials } from '../convert/image.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** Pulls an image and answers with its id, which is the same in every other reply about it. */
export function pullImage({ images }: Pick<CriServices, 'images'>): UnaryHandler<'PullImage'> {
  return async (request, signal) => {
    const reference = requireText(request.image?.image ?? '', 'image.image', 4096);
    const image = await images.pull({ reference, credentials: toCredentials(request.auth) }, signal);
    return { image_ref: image.id };
  };
}
