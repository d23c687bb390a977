import { sendInBatches } from '../batches.ts';
import { encodedImage, listedImages } from '../convert/image.ts';
import type { StreamHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** ListImages as a stream. */
export function streamImages({ images }: Pick<CriServices, 'images'>): StreamHandler<'StreamImages'> {
  return (request, send) =>
    sendInBatches(listedImages(images, request.filter?.image?.image ?? ''), encodedImage, send);
}
