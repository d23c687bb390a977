import { toSandboxStats, toSandboxStatsFilter } from '../convert/stats.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';
import { unimplemented } from '../unimplemented.ts';

/** Usage of the ready sandboxes that fit a filter. */
export function listPodSandboxStats({
  stats,
}: Pick<CriServices, 'stats'>): UnaryHandler<'ListPodSandboxStats'> {
  return async (request) => {
    if (stats === undefined) throw unimplemented('ListPodSandboxStats');
    return {
      stats: (await stats.listPodSandboxStats(toSandboxStatsFilter(request.filter))).map(toSandboxStats),
    };
  };
}
