import { encodeRepeatedField } from '#proto/codec.ts';
import { encodedContainer } from '../convert/container-status.ts';
import { containerFilter } from '../convert/filter.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** The containers that fit a filter, from bytes kept with each record. */
export function listContainers({
  containers,
}: Pick<CriServices, 'containers'>): UnaryHandler<'ListContainers'> {
  return (request) =>
    encodeRepeatedField(1, containers.list().filter(containerFilter(request.filter)).map(encodedContainer));
}
