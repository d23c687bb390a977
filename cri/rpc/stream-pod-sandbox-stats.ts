import { encode } from '#proto/codec.ts';
import { sendInBatches } from '../batches.ts';
import { toSandboxStats, toSandboxStatsFilter } from '../convert/stats.ts';
import type { StreamHandler } from '../method.ts';
import type { CriServices } from '../services.ts';
import { unimplemented } from '../unimplemented.ts';

/** ListPodSandboxStats as a stream. */
export function streamPodSandboxStats({
  stats,
}: Pick<CriServices, 'stats'>): StreamHandler<'StreamPodSandboxStats'> {
  return async (request, send) => {
    if (stats === undefined) throw unimplemented('StreamPodSandboxStats');
    const list = await stats.listPodSandboxStats(toSandboxStatsFilter(request.filter));
    await sendInBatches(list, (item) => encode('PodSandboxStats', toSandboxStats(item)), send);
  };
}
