import { messageOf } from './errors.ts';
import type { Log } from './log.ts';

/**
 * The undo steps of one creation, each with a name. Failure, cancellation and crash recovery run the same steps.
 * A step is registered before its effect when a failed attempt may leave something behind.
 */
export class UndoList {
  readonly #steps: { name: string; undo: () => Promise<void> | void }[] = [];
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  add(name: string, undo: () => Promise<void> | void): void {
    this.#steps.push({ name, undo });
  }

  /** Forgets all steps: what was built stays. */
  commit(): void {
    this.#steps.length = 0;
  }

  /**
   * Runs every step, newest first, going on after one that fails.
   * Returns the failures with their names, so that the caller can keep a record of what is left; never throws.
   */
  async run(): Promise<{ name: string; error: unknown }[]> {
    const failures: { name: string; error: unknown }[] = [];
    for (const step of this.#steps.splice(0).reverse()) {
      try {
        await step.undo();
      } catch (error) {
        this.#log.warn({ step: step.name, err: error }, `undo step failed: ${messageOf(error)}`);
        failures.push({ name: step.name, error });
      }
    }
    return failures;
  }
}
