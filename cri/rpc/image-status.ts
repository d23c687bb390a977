import { encode, encodeRepeatedField } from '#proto/codec.ts';
import { requireText } from '../convert/field.ts';
import { encodedImage, imageInfo } from '../convert/image.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** An image; an absent one is a reply without image, not an error. */
export function imageStatus({ images }: Pick<CriServices, 'images'>): UnaryHandler<'ImageStatus'> {
  return (request) => {
    const reference = requireText(request.image?.image ?? '', 'image.image', 4096);
    const image = images.find(reference);
    if (image === undefined) return {};
    const found = encodeRepeatedField(1, [encodedImage(image)]);
    if (!request.verbose) return found;
    return Buffer.concat([found, encode('ImageStatusResponse', { info: { info: imageInfo(image) } })]);
  };
}
