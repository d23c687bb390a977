import { requireId } from '../convert/field.ts';
import { requireRunning, toCommand, toStreams } from '../convert/streaming.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';
import { unimplemented } from '../unimplemented.ts';

/** A URL to run a command over; the command starts when a client connects to it. */
export function exec({
  containers,
  streaming,
}: Pick<CriServices, 'containers' | 'streaming'>): UnaryHandler<'Exec'> {
  return (request) => {
    if (streaming === undefined) throw unimplemented('Exec');
    const container = requireRunning(
      containers.get(requireId(request.container_id, 'container_id')),
      'exec in',
    );
    const command = toCommand(request.cmd);
    return { url: streaming.execUrl({ containerId: container.id, command, ...toStreams(request) }) };
  };
}
