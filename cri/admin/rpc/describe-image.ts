import { requireText } from '../../convert/field.ts';
import type { AdminUnary } from '../method.ts';
import type { AdminServices } from '../services.ts';

/** All that is known of an image. Throws NotFound. */
export function describeImage({
  images,
  layers,
}: Pick<AdminServices, 'images' | 'layers'>): AdminUnary<'DescribeImage'> {
  return (request) => {
    const details = images.describe(requireText(request.image, 'image', 4096));
    const { image, manifest } = details;
    return {
      id: image.id,
      repo_tags: image.repoTags,
      repo_digests: image.repoDigests,
      size_bytes: BigInt(image.sizeBytes),
      pinned: image.isPinned,
      config: image.rawConfig,
      manifest: manifest?.text ?? '',
      manifest_digest: manifest?.digest ?? '',
      artifact_type: image.artifactType ?? '',
      containers: layers.usersOf(image.id),
      layers: details.layers.map((layer) => ({
        diff_id: layer.diffId,
        chain_id: layer.chainId,
        blob_digest: layer.blobDigest ?? '',
        blob_bytes: BigInt(layer.blobBytes),
        disk_bytes: BigInt(layer.diskBytes),
        blob_kept: layer.isBlobKept,
      })),
    };
  };
}
