/** Changing the limits of a container (CRI UpdateContainerResources; NRI plugins ask for it, too). */
import { RuntimeError } from '#base/errors.ts';
import type { KeyedLock } from '#base/keyed-lock.ts';
import { step } from '#base/step.ts';
import type { HandlerTable } from '../handlers.ts';
import type { LifecycleHooks, Limits } from '../lifecycle-hooks.ts';
import type { RecordStore } from '../record-store.ts';
import type { LinuxResources } from '../sandbox/config.ts';
import type { HostFacts } from '../spec/inputs.ts';
import { mergeResources, toOciResources } from '../spec/resources.ts';
import type { ContainerId } from './config.ts';
import type { ContainerRecord } from './record.ts';

export interface LimitsOptions {
  readonly containers: RecordStore<ContainerRecord>;
  readonly handlers: HandlerTable;
  readonly hooks: LifecycleHooks;
  readonly host: HostFacts;
}

export class ContainerLimits {
  readonly #options: LimitsOptions;
  readonly #containers: RecordStore<ContainerRecord>;
  readonly #lock: KeyedLock;

  /** `lock` is that of the containers' lifecycle. */
  constructor(options: LimitsOptions, lock: KeyedLock) {
    this.#options = options;
    this.#containers = options.containers;
    this.#lock = lock;
  }

  /** As `ContainerManager.updateResources`, for an id in full. */
  async update(id: ContainerId, resources: LinuxResources, signal: AbortSignal): Promise<void> {
    await this.#lock.run(id, async () => {
      const record = this.#containers.getExact(id);
      if (record.isRemoving) throw new RuntimeError('FailedPrecondition', `container ${id} is being removed`);
      if (record.isRestoring)
        throw new RuntimeError(
          'FailedPrecondition',
          `container ${id} waits to go on from a checkpoint; its limits can be changed when it runs`,
        );
      const wanted = { resources, oci: toOciResources(resources, this.#options.host) };
      if (record.state !== 'created' && record.state !== 'running') {
        await step('update-container/record', () =>
          this.#containers.update(id, { resources: mergeResources(record.resources, resources) }),
        );
        return;
      }
      const { hooks } = this.#options;
      await hooks.during(async () => {
        await this.adjust(id, await hooks.updateContainer(record, wanted), signal);
        await hooks.containerUpdated(this.#containers.getExact(id));
      });
    });
  }

  /**
   * Changes limits of a container that has a process, without the lock of its lifecycle: hooks ask for it while that is
   * held for them. Throws NotFound, FailedPrecondition, and Internal with the OCI runtime's words.
   */
  async adjust(id: ContainerId, limits: Limits, signal?: AbortSignal): Promise<void> {
    await this.#lock.run(`limits ${id}`, async () => {
      const { state, handler } = this.#containers.getExact(id);
      if (state !== 'created' && state !== 'running')
        throw new RuntimeError(
          'FailedPrecondition',
          `container ${id} is ${state}; its limits cannot be changed`,
        );
      await step('update-container/oci-update', () =>
        this.#options.handlers.get(handler).update(id, limits.oci, signal),
      );
      const { resources } = this.#containers.getExact(id);
      await step('update-container/record', () =>
        this.#containers.update(id, { resources: mergeResources(resources, limits.resources) }),
      );
    });
  }
}
