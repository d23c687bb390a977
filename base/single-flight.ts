/**
 * One flight per key: callers that ask for the same key while the work is under way get the same result.
 * A caller's cancellation lets that caller go; the work itself is cancelled only when nobody waits for it any more.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, { promise: Promise<T>; waiting: number; cancel: AbortController }>();

  /**
   * Joins the flight for `key`, starting it with `work` if there is none.
   * Rejects with `signal.reason` when `signal` aborts first.
   */
  run(key: string, signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    let flight = this.#flights.get(key);
    if (!flight) {
      const cancel = new AbortController();
      const started = { promise: work(cancel.signal), waiting: 0, cancel };
      const forget = () => {
        if (this.#flights.get(key) === started) this.#flights.delete(key);
      };
      started.promise.then(forget, forget);
      this.#flights.set(key, started);
      flight = started;
    }
    const joined = flight;
    joined.waiting += 1;
    if (!signal) return joined.promise;
    return new Promise<T>((resolve, reject) => {
      const leave = () => {
        joined.waiting -= 1;
        if (joined.waiting === 0) {
          // A newcomer must not join work that is being torn down.
          if (this.#flights.get(key) === joined) this.#flights.delete(key);
          joined.cancel.abort(signal.reason);
        }
        reject(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
      joined.promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
    });
  }

  /** Whether work for `key` is under way. */
  isFlying(key: string): boolean {
    return this.#flights.has(key);
  }
}
