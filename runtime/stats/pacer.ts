import { setImmediate } from 'node:timers/promises';

/**
 * Gives the event loop back in the middle of a long run of small synchronous reads: a list of a thousand containers must
 * not hold up the start of one.
 */
export class Pacer {
  readonly #sliceMs: number;
  #startedAtMs = performance.now();

  constructor(sliceMs = 4) {
    this.#sliceMs = sliceMs;
  }

  /** Whether the slice is used up; asked first so that the common case costs no promise. */
  isDue(): boolean {
    return performance.now() - this.#startedAtMs >= this.#sliceMs;
  }

  async pause(): Promise<void> {
    await setImmediate();
    this.#startedAtMs = performance.now();
  }
}
