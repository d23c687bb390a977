import { checkText, requireText } from '../../convert/field.ts';
import type { AdminStream } from '../method.ts';
import { ProgressStream } from '../progress-stream.ts';
import { toRegistryCredentials } from '../registry-credentials.ts';
import type { AdminServices } from '../services.ts';

/** Pushes an image, telling how far it has come. Throws NotFound, InvalidArgument, Unknown with the registry's words. */
export function pushImage({ images }: Pick<AdminServices, 'images'>): AdminStream<'PushImage'> {
  return async (request, send, signal) => {
    const progress = new ProgressStream(send);
    const pushed = await images.push(
      {
        image: requireText(request.image, 'image', 4096),
        target: checkText(request.target, 'target', 4096),
        credentials: toRegistryCredentials(request.credentials),
      },
      (layers) => progress.offer(layers),
      signal,
    );
    await progress.end({
      reference: pushed.reference,
      image_id: pushed.imageId,
      digest: pushed.digest,
      size_bytes: BigInt(pushed.sizeBytes),
      layers_remade: pushed.layersRemade,
    });
  };
}
