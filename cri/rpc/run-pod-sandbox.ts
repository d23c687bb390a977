import { requireName } from '../convert/field.ts';
import { toSandboxConfig } from '../convert/sandbox-config.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** Creates and readies a sandbox. */
export function runPodSandbox({ sandboxes }: Pick<CriServices, 'sandboxes'>): UnaryHandler<'RunPodSandbox'> {
  return async (request, signal) => {
    const config = toSandboxConfig(request.config);
    const handler =
      request.runtime_handler === '' ? '' : requireName(request.runtime_handler, 'runtime_handler');
    return { pod_sandbox_id: await sandboxes.run(config, handler, signal) };
  };
}
