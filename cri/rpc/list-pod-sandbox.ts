import { encodeRepeatedField } from '#proto/codec.ts';
import { sandboxFilter } from '../convert/filter.ts';
import { encodedSandbox } from '../convert/sandbox-status.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** The sandboxes that fit a filter, from bytes kept with each record. */
export function listPodSandbox({
  sandboxes,
}: Pick<CriServices, 'sandboxes'>): UnaryHandler<'ListPodSandbox'> {
  return (request) =>
    encodeRepeatedField(1, sandboxes.list().filter(sandboxFilter(request.filter)).map(encodedSandbox));
}
