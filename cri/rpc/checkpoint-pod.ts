import {
  checkCount,
  checkMap,
  maxMapBytes,
  refuseParents,
  requireAbsolutePath,
  requireId,
} from '../convert/field.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';
import { unimplemented } from '../unimplemented.ts';

const maxContainers = 10_000;

/** Writes the state of containers of one pod, all as they were at one moment, into an empty folder. */
export function checkpointPod({
  sandboxes,
  checkpoints,
}: Pick<CriServices, 'sandboxes' | 'checkpoints'>): UnaryHandler<'CheckpointPod'> {
  return async (request, signal) => {
    const { id } = sandboxes.get(requireId(request.pod_sandbox_id, 'pod_sandbox_id'));
    const outputPath = requireAbsolutePath(request.output_path, 'output_path');
    refuseParents(outputPath, 'output_path');
    const containerIds = checkCount(request.container_ids, 'container_ids', maxContainers);
    containerIds.forEach((containerId, index) => {
      requireId(containerId, `container_ids[${index}]`);
    });
    const options = checkMap(request.options, 'options', maxMapBytes);
    if (checkpoints === undefined) throw unimplemented('CheckpointPod');
    await checkpoints.checkpointPod({ sandboxId: id, outputPath, containerIds, options }, signal);
    return {};
  };
}
