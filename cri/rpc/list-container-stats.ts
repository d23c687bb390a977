import { toContainerStats, toContainerStatsFilter } from '../convert/stats.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';
import { unimplemented } from '../unimplemented.ts';

/** Usage of the containers that fit a filter. */
export function listContainerStats({
  stats,
}: Pick<CriServices, 'stats'>): UnaryHandler<'ListContainerStats'> {
  return async (request) => {
    if (stats === undefined) throw unimplemented('ListContainerStats');
    return {
      stats: (await stats.listContainerStats(toContainerStatsFilter(request.filter))).map(toContainerStats),
    };
  };
}
