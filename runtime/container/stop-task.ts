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
/** How long after its kill a client is kept waiting for a process that does not die. */
const undyingMs = 30_000;
/** setTimeout counts to 2^31 - 1 ms; a longer grace period is as good as endless. */
const longestTimerMs = 0x7fffffff;

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
  readonly #undyingMs: number;

  constructor(actions: StopActions, patienceMs = undyingMs) {
    this.#actions = actions;
    this.#undyingMs = patienceMs;
    actions.exited.finally(() => clearTimeout(this.#timer));
  }

  /**
   * Asks for an end within `timeoutMs`; 0 kills at once. Resolves at the container's exit; rejects with the signal's reason,
   * with DeadlineExceeded if the container still lives half a minute after its kill, which is tried on, and with the error
   * of a stop signal that could not be sent: then the deadline holds, and the next request sends it again.
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
      else this.#timer = setTimeout(() => this.#kill(), Math.min(timeoutMs, longestTimerMs));
    }
    try {
      await terminated;
    } catch (error) {
      this.#hasTerminated = false;
      throw error;
    }
    await this.#waitForEnd(Math.max(timeoutMs, 0) + this.#undyingMs, signal);
  }

  async #waitForEnd(patienceMs: number, signal: AbortSignal): Promise<void> {
    let onAbort = () => {};
    let timer: NodeJS.Timeout | undefined;
    const givenUp = new Promise<never>((_resolve, reject) => {
      onAbort = () =>
        reject(
          signal.reason instanceof RuntimeError
            ? signal.reason
            : new RuntimeError('Canceled', 'waiting for the container to stop: canceled by the client'),
        );
      const undying = () =>
        reject(
          new RuntimeError(
            'DeadlineExceeded',
            'waiting for the container to stop: it was killed and does not die, so it sleeps in the kernel or is frozen from outside; look at its processes in /proc/PID/stack, the kill is tried on',
          ),
        );
      timer = setTimeout(undying, Math.min(patienceMs, longestTimerMs));
    });
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      await Promise.race([this.#actions.exited, givenUp]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }

  #kill(): void {
    this.#actions.kill();
    if (this.#killed) this.#actions.verify();
    this.#killed = true;
    // A process in uninterruptible sleep dies when it wakes; one that forks past the walk of a cgroup needs another kill.
    this.#timer = setTimeout(() => this.#kill(), rekillMs);
  }
}
