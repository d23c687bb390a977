import type { RuntimeError } from '#base/errors.ts';

/** The calls under way, so that a shutdown can wait for them and then give them up. */
export class InFlightCalls {
  readonly #calls = new Set<AbortController>();
  readonly #idleWaiters = new Set<() => void>();

  get count(): number {
    return this.#calls.size;
  }

  add(call: AbortController): void {
    this.#calls.add(call);
  }

  delete(call: AbortController): void {
    this.#calls.delete(call);
    if (this.#calls.size > 0) return;
    for (const resolve of this.#idleWaiters) resolve();
    this.#idleWaiters.clear();
  }

  /** Gives all of them up, for `reason`. */
  abortAll(reason: RuntimeError): void {
    for (const call of this.#calls) call.abort(reason);
  }

  /** Resolves when none is left: true, or false after `timeoutMs`. */
  idle(timeoutMs: number): Promise<boolean> {
    if (this.#calls.size === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const onIdle = (): void => {
        clearTimeout(timer);
        resolve(true);
      };
      const timer = setTimeout(() => {
        this.#idleWaiters.delete(onIdle);
        resolve(false);
      }, timeoutMs);
      this.#idleWaiters.add(onIdle);
    });
  }
}
