/** At most so many at a time; the others wait in order of arrival. */
export class Limiter {
  readonly #most: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /** Runs `work` when there is room. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#most) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      return await work();
    } finally {
      // A waiter takes the place over: the count does not change.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }
}

/**
 * Does `work` with each of `items`, at most `most` at a time, and resolves with what came of them, in order. The first failure
 * aborts the signal that the others have and lets none begin; it is thrown when the others have ended, so that nothing of
 * theirs is still at work on what the caller then cleans up.
 */
export async function runAll<T, R>(
  items: readonly T[],
  most: number,
  signal: AbortSignal,
  work: (item: T, index: number, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const failure = new AbortController();
  const either = AbortSignal.any([signal, failure.signal]);
  const limiter = new Limiter(most);
  let first: { readonly error: unknown } | undefined;
  const results = await Promise.allSettled(
    items.map((item, index) =>
      limiter.run(async () => {
        try {
          if (first) throw first.error;
          return await work(item, index, either);
        } catch (error) {
          first ??= { error };
          failure.abort(error);
          throw error;
        }
      }),
    ),
  );
  if (first) throw first.error;
  return results.map((result) => (result as PromiseFulfilledResult<R>).value);
}
