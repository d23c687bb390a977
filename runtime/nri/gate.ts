interface Waiter {
  readonly isAlone: boolean;
  readonly enter: () => void;
}

/**
 * Lets many work side by side, or one alone. Who asks to be alone waits for those inside, and those who come later wait
 * for it: first come, first served. Entries must not nest.
 */
export class Gate {
  #sharers = 0;
  #isAlone = false;
  #waiting: Waiter[] = [];

  /** Runs `work` beside others. If nobody is or wants to be alone, it begins before this returns. */
  async share<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isAlone || this.#waiting.length > 0) await this.#wait(false);
    else this.#sharers += 1;
    try {
      return await work();
    } finally {
      this.#sharers -= 1;
      this.#admit();
    }
  }

  /** Runs `work` while nobody else is inside. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isAlone || this.#sharers > 0 || this.#waiting.length > 0) await this.#wait(true);
    else this.#isAlone = true;
    try {
      return await work();
    } finally {
      this.#isAlone = false;
      this.#admit();
    }
  }

  #wait(isAlone: boolean): Promise<void> {
    return new Promise((enter) => this.#waiting.push({ isAlone, enter }));
  }

  /** Counts those who may enter at once, so that none slips in between. */
  #admit(): void {
    for (;;) {
      const next = this.#waiting[0];
      if (!next || this.#isAlone || (next.isAlone && this.#sharers > 0)) return;
      this.#waiting.shift();
      if (next.isAlone) this.#isAlone = true;
      else this.#sharers += 1;
      next.enter();
    }
  }
}
