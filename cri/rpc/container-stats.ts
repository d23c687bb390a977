import { requireId } from '../convert/field.ts';
import { toContainerStats } from '../convert/stats.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';
import { unimplemented } from '../unimplemented.ts';

/** Usage of one container. */
export function containerStats({ stats }: Pick<CriServices, 'stats'>): UnaryHandler<'ContainerStats'> {
  return async (request) => {
    if (stats === undefined) throw unimplemented('ContainerStats');
    return {
      stats: toContainerStats(await stats.containerStats(requireId(request.container_id, 'container_id'))),
    };
  };
}
