import { nowNs } from '#host/clock.ts';
import { encode, encodeRepeatedField } from '#proto/codec.ts';
import { encodedContainerStatus } from '../convert/container-status.ts';
import { requireId } from '../convert/field.ts';
import { describeSandbox, encodedSandboxStatus } from '../convert/sandbox-status.ts';
import { toJson } from '../convert/verbose-info.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/**
 * A sandbox, with the statuses of its containers, newest first: with evented PLEG the kubelet takes the first container of a
 * name for the present one.
 */
export function podSandboxStatus({
  sandboxes,
  containers,
}: Pick<CriServices, 'sandboxes' | 'containers'>): UnaryHandler<'PodSandboxStatus'> {
  return (request) => {
    const record = sandboxes.get(requireId(request.pod_sandbox_id, 'pod_sandbox_id'));
    const statuses = containers
      .listOf(record.id)
      .filter((container) => container.state !== 'creating')
      .toSorted((a, b) => (a.createdAtNs < b.createdAtNs ? 1 : -1))
      .map(encodedContainerStatus);
    return Buffer.concat([
      encodeRepeatedField(1, [encodedSandboxStatus(record)]),
      encode('PodSandboxStatusResponse', {
        info: request.verbose ? { info: toJson(describeSandbox(record)) } : {},
        timestamp: nowNs(),
      }),
      encodeRepeatedField(3, statuses),
    ]);
  };
}
