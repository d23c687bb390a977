import { encode, encodeRepeatedField } from '#proto/codec.ts';
import { encodedContainerStatus } from '../convert/container-status.ts';
import { requireId } from '../convert/field.ts';
import { toJson } from '../convert/verbose-info.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** A container; with `verbose` also what tools look for in `info`. */
export function containerStatus({
  containers,
}: Pick<CriServices, 'containers'>): UnaryHandler<'ContainerStatus'> {
  return (request) => {
    const record = containers.get(requireId(request.container_id, 'container_id'));
    const status = encodeRepeatedField(1, [encodedContainerStatus(record)]);
    if (!request.verbose) return status;
    const info = toJson({ config: record.config, ...containers.describe(record.id) });
    return Buffer.concat([status, encode('ContainerStatusResponse', { info: { info } })]);
  };
}
