import { RuntimeError } from '#base/errors.ts';
import { checkCount, checkNumber, requireId } from '../convert/field.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';
import { unimplemented } from '../unimplemented.ts';

/** A URL that leads to ports of a sandbox. */
export function portForward({
  sandboxes,
  streaming,
}: Pick<CriServices, 'sandboxes' | 'streaming'>): UnaryHandler<'PortForward'> {
  return (request) => {
    if (streaming === undefined) throw unimplemented('PortForward');
    const sandbox = sandboxes.get(requireId(request.pod_sandbox_id, 'pod_sandbox_id'));
    if (sandbox.state !== 'ready') {
      throw new RuntimeError(
        'FailedPrecondition',
        `forward a port of sandbox ${sandbox.id}: it is not ready`,
      );
    }
    const ports = checkCount(request.port, 'port', 1000);
    ports.forEach((port, index) => {
      checkNumber(port, `port[${index}]`, 1, 65_535);
    });
    return { url: streaming.portForwardUrl({ sandboxId: sandbox.id, ports }) };
  };
}
