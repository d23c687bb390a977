import { RuntimeError } from '#base/errors.ts';

/**
 * Holds calls back while the daemon takes up what an earlier one left. A call waits as long as its client does, but
 * not for ever: a client without a deadline is told Unavailable after `maxWaitMs`.
 */
export class Readiness {
  readonly #maxWaitMs: number;
  #isReady = false;
  readonly #waiting = new Set<() => void>();

  constructor(maxWaitMs = 30_000) {
    this.#maxWaitMs = maxWaitMs;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Lets all calls through from now on. */
  open(): void {
    this.#isReady = true;
    for (const release of [...this.#waiting]) release();
  }

  /** Resolves when open. Throws the signal's reason, or Unavailable. */
  wait(rpc: string, signal: AbortSignal): Promise<void> {
    if (this.#isReady) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const settle = (work: () => void): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        this.#waiting.delete(release);
        work();
      };
      const release = (): void => settle(resolve);
      const onAbort = (): void => settle(() => reject(signal.reason));
      const timer = setTimeout(
        () =>
          settle(() =>
            reject(new RuntimeError('Unavailable', `${rpc}: the daemon is still recovering, try again`)),
          ),
        this.#maxWaitMs,
      );
      this.#waiting.add(release);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
  }
}
