import { requireId } from '../convert/field.ts';
import { requireAttachable, toStreams } from '../convert/streaming.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';
import { unimplemented } from '../unimplemented.ts';

/** A URL that leads to the main process of a container. */
export function attach({
  containers,
  streaming,
}: Pick<CriServices, 'containers' | 'streaming'>): UnaryHandler<'Attach'> {
  return (request) => {
    if (streaming === undefined) throw unimplemented('Attach');
    const container = requireAttachable(containers.get(requireId(request.container_id, 'container_id')));
    return { url: streaming.attachUrl({ containerId: container.id, ...toStreams(request) }) };
  };
}
