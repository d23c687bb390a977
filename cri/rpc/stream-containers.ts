import { sendInBatches } from '../batches.ts';
import { encodedContainer } from '../convert/container-status.ts';
import { containerFilter } from '../convert/filter.ts';
import type { StreamHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** ListContainers as a stream. */
export function streamContainers({
  containers,
}: Pick<CriServices, 'containers'>): StreamHandler<'StreamContainers'> {
  return (request, send) =>
    sendInBatches(containers.list().filter(containerFilter(request.filter)), encodedContainer, send);
}
