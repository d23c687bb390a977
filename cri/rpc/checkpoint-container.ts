import { refuseParents, requireAbsolutePath, requireId, secondsToTimerMs } from '../convert/field.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';
import { unimplemented } from '../unimplemented.ts';

/** Writes an archive of a container's state to an absolute path. */
export function checkpointContainer({
  containers,
  checkpoints,
}: Pick<CriServices, 'containers' | 'checkpoints'>): UnaryHandler<'CheckpointContainer'> {
  return async (request, signal) => {
    const { id } = containers.get(requireId(request.container_id, 'container_id'));
    const location = requireAbsolutePath(request.location, 'location');
    refuseParents(location, 'location');
    if (checkpoints === undefined) throw unimplemented('CheckpointContainer');
    await checkpoints.checkpointContainer(id, location, secondsToTimerMs(request.timeout), signal);
    return {};
  };
}
