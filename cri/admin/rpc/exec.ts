import { RuntimeError } from '#base/errors.ts';
import { checkText, requireAbsolutePath, requireId } from '../../convert/field.ts';
import { requireRunning, toCommand, toStreams } from '../../convert/streaming.ts';
import type { AdminUnary } from '../method.ts';
import type { AdminServices } from '../services.ts';

const mostEnvironment = 1000;
const mostBytes = 128 * 1024;

/** A URL for one exec with an environment, a working directory and a user of its own. Throws as the CRI's Exec. */
export function exec({
  containers,
  streaming,
}: Pick<AdminServices, 'containers' | 'streaming'>): AdminUnary<'Exec'> {
  return (request) => {
    const container = requireRunning(
      containers.get(requireId(request.container_id, 'container_id')),
      'exec in',
    );
    const { env } = request;
    if (env.length > mostEnvironment)
      throw new RuntimeError(
        'InvalidArgument',
        `invalid request: env has more than ${mostEnvironment} entries`,
      );
    for (const entry of env) checkText(entry, 'env', mostBytes);
    if (env.some((entry) => entry.indexOf('=') < 1))
      throw new RuntimeError('InvalidArgument', 'invalid request: env has an entry that is not NAME=VALUE');
    const workingDir =
      request.working_dir === '' ? '' : requireAbsolutePath(request.working_dir, 'working_dir');
    const url = streaming.execUrl({
      containerId: container.id,
      command: toCommand(request.cmd),
      ...toStreams(request),
      overrides: { env, workingDir, user: checkText(request.user, 'user', 512) },
    });
    return { url };
  };
}
