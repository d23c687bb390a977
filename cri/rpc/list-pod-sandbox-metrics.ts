import { toSandboxMetrics } from '../convert/stats.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';
import { unimplemented } from '../unimplemented.ts';

/** Metrics of all ready sandboxes and their containers. */
export function listPodSandboxMetrics({
  stats,
}: Pick<CriServices, 'stats'>): UnaryHandler<'ListPodSandboxMetrics'> {
  return async () => {
    if (stats === undefined) throw unimplemented('ListPodSandboxMetrics');
    return { pod_metrics: (await stats.listPodSandboxMetrics()).map(toSandboxMetrics) };
  };
}
