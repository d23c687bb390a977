/**
 * One lock per key: holders of the same key run one after the other in order of arrival, different keys side by side.
 * Nothing is kept for a key that nobody holds or waits for.
 */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs `work` while holding `key`. The lock is released when `work` settles. Waiting is not cancellable: check the signal inside. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    let release: () => void = () => {};
    const tail = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.#tails.set(key, tail);
    if (before) await before;
    try {
      return await work();
    } finally {
      release();
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }

  /** Whether somebody holds `key` now. */
  isHeld(key: string): boolean {
    return this.#tails.has(key);
  }
}
