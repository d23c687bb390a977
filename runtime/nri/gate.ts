import { setTimeout as delay } from 'node:timers/promises';

interface Waiter {
  readonly isAlone: boolean;
  readonly enter: () => void;
}

/** How long others wait behind one that wants to be alone, and how long it then steps aside for them. */
const patienceMs = 2000;
const asideMs = 500;

/**
 * Lets many work side by side, or one alone. Who asks to be alone waits for those inside, and those who come later wait
 * for it, but not for long: one that cannot leave must not keep all others out. Entries must not nest.
 */
export class Gate {
  #sharers = 0;
  #isAlone = false;
  #waiting: Waiter[] = [];

  /** Runs `work` beside others. If nobody is or wants to be alone, it begins before this returns. */
  async share<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isAlone || this.#waiting.length > 0)
      await new Promise<void>((enter) => this.#waiting.push({ isAlone: false, enter }));
    else this.#sharers += 1;
    try {
      return await work();
    } finally {
      this.#sharers -= 1;
      this.#admit();
    }
  }

  /** Runs `work` while nobody else is inside. Gives up, returning undefined, when it is not wanted any more. */
  async alone<T>(work: () => Promise<T>, isWanted: () => boolean = () => true): Promise<T | undefined> {
    while (!(await this.#enterAlone())) {
      await delay(asideMs);
      if (!isWanted()) return undefined;
    }
    try {
      return await work();
    } finally {
      this.#isAlone = false;
      this.#admit();
    }
  }

  /** False if those inside have not left in time. */
  async #enterAlone(): Promise<boolean> {
    if (!this.#isAlone && this.#sharers === 0 && this.#waiting.length === 0) {
      this.#isAlone = true;
      return true;
    }
    return new Promise((resolve) => {
      const waiter: Waiter = {
        isAlone: true,
        enter: () => {
          clearTimeout(timer);
          resolve(true);
        },
      };
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
        this.#admit();
        resolve(false);
      }, patienceMs);
      this.#waiting.push(waiter);
    });
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
