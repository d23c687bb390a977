import { RuntimeError } from '#base/errors.ts';

export interface StopActions {
  /** Sends the stop signal. Rejects if it cannot be sent. */
  terminate(): Promise<void>;
  /** Kills, again and again if need be. */
  kill(): void;
  /** Settles when the container's exit has been recorded. */
  readonly exited: Promise<void>;
  /** Called when the process outlived a KILL for a while: look whether it is gone without having said so. */
  verify(): void;
}

const rekillMs = 1000;

/**
 * The one stop of a container, however many clients ask for it: the stop signal is sent once, the nearest deadline wins,
 * and a client that goes away changes nothing for the others, nor for the container.
 */
export class StopTask {
  readonly #actions: StopActions;
  #deadlineMs = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #hasTerminated = false;
  #killed = false;

  constructor(actions: StopActions) {
    this.#actions = actions;
    actions.exited.finally(() => clearTimeout(this.#timer));
  }

  /**
   * Asks for an end within `timeoutMs`; 0 kills at once. Resolves at the container's exit; rejects with the signal's reason,
   * and with the error of a stop signal that could not be sent: then the deadline holds, and the next request sends it again.
   */
  async request(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    const mustTerminate = timeoutMs > 0 && !this.#hasTerminated && !this.#killed;
    if (mustTerminate) this.#hasTerminated = true;
    const terminated = mustTerminate ? this.#actions.terminate() : undefined;
    if (deadline < this.#deadlineMs && !this.#killed) {
      this.#deadlineMs = deadline;
      clearTimeout(this.#timer);
      if (timeoutMs <= 0) this.#kill();
      // setTimeout counts to 2^31 - 1 ms; a longer grace period is as good as endless.
      else this.#timer = setTimeout(() => this.#kill(), Math.min(timeoutMs, 0x7fffffff));
    }
    try {
      await terminated;
    } catch (error) {
      this.#hasTerminated = false;
      throw error;
    }
    await new Promise<void>((resolve, reject) => {
      const onAbort = () =>
        reject(
          signal.reason instanceof RuntimeError
            ? signal.reason
            : new RuntimeError('Canceled', 'waiting for the container to stop: canceled by the client'),
        );
      if (signal.aborted) onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      this.#actions.exited.then(resolve).finally(() => signal.removeEventListener('abort', onAbort));
    });
  }

  #kill(): void {
    this.#actions.kill();
    if (this.#killed) this.#actions.verify();
    this.#killed = true;
    // A process in uninterruptible sleep dies when it wakes; one that forks past the walk of a cgroup needs another kill.
    this.#timer = setTimeout(() => this.#kill(), rekillMs);
  }
}
