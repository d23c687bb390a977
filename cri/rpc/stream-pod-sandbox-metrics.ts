import { encode } from '#proto/codec.ts';
import { sendInBatches } from '../batches.ts';
import { toSandboxMetrics } from '../convert/stats.ts';
import type { StreamHandler } from '../method.ts';
import type { CriServices } from '../services.ts';
import { unimplemented } from '../unimplemented.ts';

/** ListPodSandboxMetrics as a stream. */
export function streamPodSandboxMetrics({
  stats,
}: Pick<CriServices, 'stats'>): StreamHandler<'StreamPodSandboxMetrics'> {
  return async (_request, send) => {
    if (stats === undefined) throw unimplemented('StreamPodSandboxMetrics');
    const list = await stats.listPodSandboxMetrics();
    await sendInBatches(list, (item) => encode('PodSandboxMetrics', toSandboxMetrics(item)), send);
  };
}
