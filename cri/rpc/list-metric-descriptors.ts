import { toMetricDescriptor } from '../convert/stats.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';
import { unimplemented } from '../unimplemented.ts';

/** What ListPodSandboxMetrics can contain. */
export function listMetricDescriptors({
  stats,
}: Pick<CriServices, 'stats'>): UnaryHandler<'ListMetricDescriptors'> {
  return () => {
    if (stats === undefined) throw unimplemented('ListMetricDescriptors');
    return { descriptors: stats.listMetricDescriptors().map(toMetricDescriptor) };
  };
}
