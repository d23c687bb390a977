import type { AdminUnary } from '../method.ts';
import type { AdminServices } from '../services.ts';

/** Removes images that nothing uses, or says which it would. */
export function pruneImages({
  images,
  layers,
}: Pick<AdminServices, 'images' | 'layers'>): AdminUnary<'PruneImages'> {
  return async (request) => {
    const { until } = request;
    const pruned = await images.prune(
      {
        isDryRun: request.dry_run,
        isAll: request.all,
        createdBeforeMs: until === 0n ? undefined : Number(until / 1_000_000n),
      },
      (id) => layers.usersOf(id),
    );
    return {
      images: pruned.images.map(({ id, names }) => ({ id, names })),
      freed_bytes: BigInt(pruned.freedBytes),
    };
  };
}
