import { encode } from '#proto/codec.ts';
import { sendInBatches } from '../batches.ts';
import { toContainerStats, toContainerStatsFilter } from '../convert/stats.ts';
import type { StreamHandler } from '../method.ts';
import type { CriServices } from '../services.ts';
import { unimplemented } from '../unimplemented.ts';

/** ListContainerStats as a stream. */
export function streamContainerStats({
  stats,
}: Pick<CriServices, 'stats'>): StreamHandler<'StreamContainerStats'> {
  return async (request, send) => {
    if (stats === undefined) throw unimplemented('StreamContainerStats');
    const list = await stats.listContainerStats(toContainerStatsFilter(request.filter));
    await sendInBatches(list, (item) => encode('ContainerStats', toContainerStats(item)), send);
  };
}
