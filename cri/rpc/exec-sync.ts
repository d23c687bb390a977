import { requireId, secondsToTimerMs } from '../convert/field.ts';
import { toCommand } from '../convert/streaming.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** Runs a command to its end; `timeout` is in seconds, 0 for none. */
export function execSync({ containers }: Pick<CriServices, 'containers'>): UnaryHandler<'ExecSync'> {
  return async (request, signal) => {
    const id = requireId(request.container_id, 'container_id');
    const command = toCommand(request.cmd);
    const result = await containers.execSync(id, command, secondsToTimerMs(request.timeout), signal);
    return { stdout: result.stdout, stderr: result.stderr, exit_code: result.exitCode };
  };
}
