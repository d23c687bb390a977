import type { Log } from '#base/log.ts';
import { nowNs } from '#host/clock.ts';
import type { ContainerId } from './container/config.ts';
import type { LifecycleEvent, LifecycleEventType, LifecycleListener } from './contract.ts';
import type { SandboxId } from './sandbox/config.ts';

/** Tells every listener of each change, in order, synchronously after disk and memory have it. A listener's error is its own. */
export class Announcer {
  readonly #listeners = new Set<LifecycleListener>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Returns the function that ends the subscription. */
  subscribe(listener: LifecycleListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  announce(type: LifecycleEventType, subjectId: ContainerId | SandboxId, sandboxId: SandboxId): void {
    const event: LifecycleEvent = { type, subjectId, sandboxId, atNs: nowNs() };
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#log.error({ err: error, subjectId }, 'a listener of lifecycle events failed');
      }
    }
  }
}
