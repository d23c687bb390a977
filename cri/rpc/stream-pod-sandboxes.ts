import { sendInBatches } from '../batches.ts';
import { sandboxFilter } from '../convert/filter.ts';
import { encodedSandbox } from '../convert/sandbox-status.ts';
import type { StreamHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** ListPodSandbox as a stream. */
export function streamPodSandboxes({
  sandboxes,
}: Pick<CriServices, 'sandboxes'>): StreamHandler<'StreamPodSandboxes'> {
  return (request, send) =>
    sendInBatches(sandboxes.list().filter(sandboxFilter(request.filter)), encodedSandbox, send);
}
