/** A container's start while this process is its terminal: attach first, so that nothing of its output is missed. */
import type { CommandContext } from './command.ts';
import { CommandError } from './command.ts';
import { CallError, type Connection } from './connection.ts';
import { openSession, ownStreams, sessionError } from './session.ts';

export interface AttachRequest {
  readonly id: string;
  readonly name: string;
  readonly hasTty: boolean;
  /** What is typed here goes there. */
  readonly isInteractive: boolean;
  readonly detachKeys: Buffer;
  /** Done between attaching and waiting: the start. */
  readonly begin?: () => Promise<void>;
}

/** Attaches, begins, and stays until the container has ended or the user has left. Gives the exit status. */
export async function stayAttached(
  connection: Connection,
  { output, takeSignals }: Pick<CommandContext, 'output' | 'takeSignals'>,
  request: AttachRequest,
): Promise<number> {
  const { id, name, hasTty, isInteractive } = request;
  const leaving = new AbortController();
  const streams = ownStreams({ interactive: isInteractive, tty: hasTty });
  // Asked for before the start: a container that removes itself cannot be asked afterwards.
  const ended = connection.admin('WaitContainer', { container_id: id }, { signal: leaving.signal });
  ended.catch(() => {}); // awaited below, or not needed any more
  const { url } = await connection.call('Attach', {
    container_id: id,
    stdin: isInteractive,
    stdout: true,
    stderr: !hasTty,
    tty: hasTty,
  });
  const session = await openSession(url, {
    hasTty,
    ...streams,
    detachKeys: request.detachKeys,
    signal: leaving.signal,
  });
  // With a terminal keys arrive as bytes, and a signal is meant for us: a terminal that closes leaves the container alone.
  // Without one, what is meant for the container is passed on.
  const giveBack = takeSignals((signal) => {
    if (hasTty) leaving.abort();
    else connection.admin('KillContainer', { container_id: id, signal }).catch(() => leaving.abort());
  });
  try {
    await request.begin?.();
    const end = await session.end;
    if (end.kind === 'detached') {
      output.note(`\nleft ${name}, which goes on; \`berth attach ${name}\` comes back`);
      return 0;
    }
    if (end.kind !== 'exited') throw sessionError(end, `attached to ${name}`);
    const { exit_code, reason } = await ended;
    if (reason === 'OOMKilled') output.warn(`${name} ran out of memory: its limit is --memory`);
    return exit_code;
  } catch (error) {
    leaving.abort();
    await session.end;
    throw error;
  } finally {
    giveBack();
    leaving.abort();
  }
}

/** What StartContainer said, as an error with the exit status that docker gives it. */
export function startError(error: unknown, name: string, status: (message: string) => number): unknown {
  if (!(error instanceof CallError)) return error;
  return new CommandError(`starting ${name}: ${error.message}`, {
    exitStatus: status(error.message),
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}
