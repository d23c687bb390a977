/**
 * Commands that nobody stays with. The daemon does, and reads what they write, or they would block; they end with their
 * container, and with this daemon.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { ContainerId } from './config.ts';
import type { ExecOverrides } from './exec-process.ts';
import type { ContainerStreams } from './stream.ts';

/** How long a command is watched: one that cannot be started has failed by then. */
const watchedMs = 250;

export interface DetachedRequest {
  readonly containerId: ContainerId;
  readonly command: readonly string[];
  readonly overrides: ExecOverrides;
}

export class DetachedExecs {
  readonly #streams: Pick<ContainerStreams, 'exec'>;
  readonly #log: Log;

  constructor(streams: Pick<ContainerStreams, 'exec'>, log: Log) {
    this.#streams = streams;
    this.#log = log;
  }

  /** Starts a command and leaves it. Throws NotFound, FailedPrecondition, and Internal for one that cannot be started. */
  async start(request: DetachedRequest, signal: AbortSignal): Promise<void> {
    const started = await this.#streams.exec(
      { ...request, stdin: false, stdout: true, stderr: true, tty: false },
      { signal: new AbortController().signal },
    );
    // Nobody reads it, and a full pipe would hold the command up.
    for (const stream of [started.stdout, started.stderr]) stream?.on('error', () => {}).resume();
    const ended = started.exited.finally(() => started.detach('exited'));
    ended.catch((error: unknown) => {
      this.#log.debug({ containerId: request.containerId }, `a detached command failed: ${messageOf(error)}`);
    });
    const early = await Promise.race([ended, delay(watchedMs, undefined, { ref: false })]);
    if (early !== undefined && (early.exitCode === 126 || early.exitCode === 127))
      throw new RuntimeError(
        'Internal',
        `exec in container ${request.containerId}: ${request.command[0]} could not be run: exit status ${early.exitCode}`,
      );
    if (signal.aborted) started.detach('client-left');
  }
}
