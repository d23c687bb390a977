import { checkText, requireText } from '../../convert/field.ts';
import type { AdminStream } from '../method.ts';
import { ProgressStream } from '../progress-stream.ts';
import { toRegistryCredentials } from '../registry-credentials.ts';
import type { AdminServices } from '../services.ts';

/** Pulls an image, telling how far it has come. Throws as the CRI's PullImage. */
export function pullImage({ images }: Pick<AdminServices, 'images'>): AdminStream<'PullImage'> {
  return async (request, send, signal) => {
    const reference = requireText(request.reference, 'reference', 4096);
    const progress = new ProgressStream(send);
    const image = await images.pull(
      {
        reference,
        platform: checkText(request.platform, 'platform', 256),
        credentials: toRegistryCredentials(request.credentials),
      },
      ({ layers }) =>
        progress.offer(
          layers.map(({ digest, sizeBytes, receivedBytes }) => ({
            digest,
            sizeBytes,
            doneBytes: receivedBytes,
            state: receivedBytes === 0 ? 'waiting' : receivedBytes >= sizeBytes ? 'done' : 'transferring',
          })),
        ),
      signal,
    );
    const name = images.findName(reference);
    const digest = image.repoDigests[0]?.replace(/^[^@]*@/, '') ?? '';
    await progress.end({
      reference: image.repoTags.find((tag) => tag === name) ?? reference,
      image_id: image.id,
      digest,
      size_bytes: BigInt(image.sizeBytes),
      layers_remade: 0,
    });
  };
}
