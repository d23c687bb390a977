import { requireId } from '../convert/field.ts';
import { toSandboxStats } from '../convert/stats.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';
import { unimplemented } from '../unimplemented.ts';

/** Usage of one ready sandbox. */
export function podSandboxStats({ stats }: Pick<CriServices, 'stats'>): UnaryHandler<'PodSandboxStats'> {
  return async (request) => {
    if (stats === undefined) throw unimplemented('PodSandboxStats');
    const id = requireId(request.pod_sandbox_id, 'pod_sandbox_id');
    return { stats: toSandboxStats(await stats.podSandboxStats(id)) };
  };
}
