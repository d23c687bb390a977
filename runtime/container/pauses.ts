/**
 * Containers that an operator has stand still and go on. That one is to stand still is recorded before it does; in the end the
 * kernel's word counts, for a daemon may have died, or the OCI runtime failed, between the two.
 */
import { messageOf, RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { step } from '#base/step.ts';
import { isGroupFrozen, thawGroup } from '#host/cgroup.ts';
import type { HandlerTable } from '../handlers.ts';
import type { RecordStore } from '../record-store.ts';
import type { HostFacts } from '../spec/inputs.ts';
import { cgroupLocation } from './cgroup-location.ts';
import type { ContainerRecord } from './record.ts';

export interface PausesOptions {
  readonly containers: RecordStore<ContainerRecord>;
  readonly handlers: HandlerTable;
  readonly host: HostFacts;
  readonly log: Log;
}

export class ContainerPauses {
  readonly #options: PausesOptions;

  constructor(options: PausesOptions) {
    this.#options = options;
  }

  /**
   * Has a running container stand still, whose lock the caller holds. Idempotent; when it fails the container runs. Throws
   * FailedPrecondition, Internal with the runtime's words.
   */
  async pause(record: ContainerRecord): Promise<void> {
    requireRunning(record);
    const { containers, handlers } = this.#options;
    const { id, handler } = record;
    try {
      // Before, not after: a daemon that dies in between must not take it for running freely.
      if (record.isPaused !== true)
        await step('pause-container/record', () => containers.update(id, { isPaused: true }));
      if (!this.#standsStill(record))
        await step('pause-container/oci-pause', () => handlers.get(handler).pause(id));
    } catch (error) {
      await this.#takeBack(record);
      throw error;
    }
  }

  /** Lets it go on. Idempotent. Throws as `pause`. */
  async unpause(record: ContainerRecord): Promise<void> {
    requireRunning(record);
    const { containers } = this.#options;
    try {
      if (this.#standsStill(record)) await step('unpause-container/oci-resume', () => this.#resume(record));
      else if (record.isPaused !== true) return;
      await step('unpause-container/record', () => containers.update(record.id, { isPaused: false }));
    } catch (error) {
      this.#settle(record);
      throw error;
    }
  }

  /** Has the record of a container that runs, whose lock the caller holds, say what an earlier daemon made of it. */
  async recover(record: ContainerRecord): Promise<void> {
    const { containers, log } = this.#options;
    const isPaused = this.#standsStill(record);
    if (record.state !== 'running' || isPaused === (record.isPaused === true)) return;
    log.warn(
      { containerId: record.id },
      isPaused
        ? 'a container stands still of which that was not known: it is shown as paused'
        : 'a container was being paused or let go on as the daemon ended: it runs',
    );
    await step('recover/record-paused', () => containers.update(record.id, { isPaused }));
  }

  /** Where the kernel does not say, the record does. */
  #standsStill({ cgroupsPath, isPaused }: ContainerRecord): boolean {
    const { cgroupVersion } = this.#options.host;
    const isFrozen =
      cgroupsPath === '' ? undefined : isGroupFrozen(cgroupVersion, cgroupLocation(cgroupsPath));
    return isFrozen ?? isPaused === true;
  }

  /** A failure that let it go on all the same is none. */
  async #resume(record: ContainerRecord): Promise<void> {
    try {
      await this.#options.handlers.get(record.handler).resume(record.id);
    } catch (error) {
      if (this.#standsStill(record)) throw error;
    }
  }

  /** After a failed pause, which may have had its effect, or half of it. */
  async #takeBack(record: ContainerRecord): Promise<void> {
    const { cgroupVersion } = this.#options.host;
    if (this.#standsStill({ ...record, isPaused: false }))
      await this.#resume(record).catch(() => {
        // crun has no word for a group that is still being frozen, and does not let it go.
        thawGroup(cgroupVersion, cgroupLocation(record.cgroupsPath));
      });
    this.#settle({ ...record, isPaused: false });
  }

  /** Has the record say what the kernel does after a call that failed. That may fail too: the next call, or start, tries again. */
  #settle(record: ContainerRecord): void {
    const { containers, log } = this.#options;
    const { id } = record;
    try {
      containers.update(id, { isPaused: this.#standsStill(record) });
    } catch (error) {
      log.error({ containerId: id, err: error }, `noting whether it is paused failed: ${messageOf(error)}`);
    }
  }
}

function requireRunning({ id, state }: ContainerRecord): void {
  if (state !== 'running')
    throw new RuntimeError(
      'FailedPrecondition',
      `container ${id} is ${state}; only a running one can be paused or let go on`,
    );
}
