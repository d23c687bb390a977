import type { AdminUnary } from '../method.ts';
import type { AdminServices } from '../services.ts';

/** What images, containers and volumes occupy, and why images are kept. */
export function diskUsage({
  images,
  layers,
}: Pick<AdminServices, 'images' | 'layers'>): AdminUnary<'DiskUsage'> {
  return async (request) => {
    const measured = request.images_only ? [] : layers.usage();
    const [store, containers] = await Promise.all([images.usage(), measured]);
    return {
      images: store.images.map(({ image, sharedBytes, uniqueBytes, createdAtMs }) => {
        const users = layers.usersOf(image.id);
        const names = image.repoTags.length > 0 ? image.repoTags : image.repoDigests;
        return {
          id: image.id,
          names,
          shared_bytes: BigInt(sharedBytes),
          unique_bytes: BigInt(uniqueBytes),
          created_at: BigInt(createdAtMs) * 1_000_000n,
          containers: users,
          pinned: image.isPinned,
          reasons: [
            ...(image.isPinned ? ['pinned by the configuration'] : []),
            ...(users.length > 0 ? [`used by ${users.length} container${users.length > 1 ? 's' : ''}`] : []),
            ...(image.repoTags.length > 0 ? ['has a tag'] : []),
          ],
        };
      }),
      containers: containers.map(({ id, writableBytes }) => ({ id, writable_bytes: BigInt(writableBytes) })),
      volumes: containers.flatMap(({ id, volumes }) =>
        volumes.map(({ path, usedBytes }) => ({ container_id: id, path, used_bytes: BigInt(usedBytes) })),
      ),
      layer_bytes: BigInt(store.layerBytes),
      blob_bytes: BigInt(store.blobBytes),
      unneeded_bytes: BigInt(store.unneededBytes),
    };
  };
}
