/**
 * What a kubelet does for its pods and nobody else for managed ones: when all containers of one have exited, it is stopped,
 * which gives back its address and ports, or removed, as its label says (`#base/managed-pod.ts`).
 */
import { messageOf } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { isManagedPod, onExitOf } from '#base/managed-pod.ts';
import type { LifecycleEvent } from '../contract.ts';
import type { RecordStore } from '../record-store.ts';
import type { SandboxId } from '../sandbox/config.ts';
import type { PinnedSandboxes } from '../sandbox/manager.ts';
import type { SandboxRecord } from '../sandbox/record.ts';

export interface ManagedPodsOptions {
  readonly sandboxRecords: RecordStore<SandboxRecord>;
  readonly sandboxes: Pick<PinnedSandboxes, 'endIdle'>;
  readonly log: Log;
}

export class ManagedPods {
  readonly #options: ManagedPodsOptions;
  readonly #giveUp = new AbortController();

  constructor(options: ManagedPodsOptions) {
    this.#options = options;
  }

  /** Subscribe it to the announcements. */
  readonly onEvent = ({ type, subjectId, sandboxId }: LifecycleEvent): void => {
    if (type === 'stopped' && subjectId !== sandboxId) this.#settle(sandboxId);
  };

  /**
   * Settles pods whose containers exited while no daemon ran, and goes on with removals that one died in: no kubelet asks for
   * them again. Call once, after recovery.
   */
  start(): void {
    for (const { id, state, config, isRemoving } of this.#options.sandboxRecords.list())
      if (state === 'ready' || isRemoving || onExitOf(config.labels) === 'remove') this.#settle(id);
  }

  /** Whatever is under way is given up; the next start takes it up. */
  close(): void {
    this.#giveUp.abort();
  }

  #settle(id: SandboxId): void {
    const { sandboxRecords, sandboxes, log } = this.#options;
    const record = sandboxRecords.findExact(id);
    const labels = record?.config.labels ?? {};
    const ending = record?.isRemoving && isManagedPod(labels) ? 'remove' : onExitOf(labels);
    if (ending === undefined || this.#giveUp.signal.aborted) return;
    sandboxes.endIdle(id, ending, this.#giveUp.signal).catch((error) => {
      if (this.#giveUp.signal.aborted) return;
      log.warn(
        { sandboxId: id, err: error },
        `a pod whose containers have exited could not be ${ending === 'stop' ? 'stopped' : 'removed'}: ${messageOf(error)}`,
      );
    });
  }
}
