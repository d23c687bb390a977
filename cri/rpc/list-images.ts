import { encodeRepeatedField } from '#proto/codec.ts';
import { encodedImage, listedImages } from '../convert/image.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** All images, or the one that the filter's reference finds. */
export function listImages({ images }: Pick<CriServices, 'images'>): UnaryHandler<'ListImages'> {
  return (request) => {
    const reference = request.filter?.image?.image ?? '';
    return encodeRepeatedField(1, listedImages(images, reference).map(encodedImage));
  };
}
