import { RuntimeError } from '#base/errors.ts';
import { checkText, requireAbsolutePath, requireId } from '../../convert/field.ts';
import { requireRunning, toCommand, toStreams } from '../../convert/streaming.ts';
import type { AdminRequest, AdminUnary } from '../method.ts';
import type { AdminServices } from '../services.ts';

const mostEnvironment = 1000;
const mostBytes = 128 * 1024;

/** A URL for one exec with an environment, a working directory and a user of its own. Throws as the CRI's Exec. */
export function exec({
  containers,
  streaming,
}: Pick<AdminServices, 'containers' | 'streaming'>): AdminUnary<'Exec'> {
  return (request) => {
    const asked = toExec(request, containers);
    return { url: streaming.execUrl({ ...asked, ...toStreams(request) }) };
  };
}

/** Starts a command that nobody stays with. Throws as the CRI's Exec, and Internal for one that cannot be started. */
export function execDetached({
  containers,
  detached,
}: Pick<AdminServices, 'containers' | 'detached'>): AdminUnary<'ExecDetached'> {
  return async (request, signal) => {
    await detached.start(toExec(request, containers), signal);
    return {};
  };
}

function toExec(request: AdminRequest<'Exec'>, containers: AdminServices['containers']) {
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
  return {
    containerId: container.id,
    command: toCommand(request.cmd),
    overrides: { env, workingDir, user: checkText(request.user, 'user', 512) },
  };
}
