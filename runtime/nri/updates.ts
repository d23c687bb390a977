import { RuntimeError } from '#base/errors.ts';
import type { ContainerUpdate, ContainerUpdateInit, LinuxResourcesInit } from '#proto/nri/generated/nri.ts';
import type { Owners } from './owners.ts';
import { claimsOf, mergeLimits } from './resources.ts';

/** Updates of existing containers that plugins want, by container. */
export class Updates {
  readonly #owners: Owners;
  readonly #creating: string | undefined;
  readonly #updates = new Map<string, { resources: LinuxResourcesInit; ignoresFailure: boolean }>();

  /** `creating` is the id of a container that does not exist yet and so cannot be updated. */
  constructor(owners: Owners, creating?: string) {
    this.#owners = owners;
    this.#creating = creating;
  }

  /**
   * Takes in the updates of one plugin. Throws FailedPrecondition if another one wants the same thing otherwise, unless
   * the plugin has that ignored, and InvalidArgument for the container that is being created.
   */
  add(plugin: string, updates: readonly ContainerUpdate[]): void {
    for (const { container_id: id, linux, ignore_failure: ignoresFailure } of updates) {
      if (id === this.#creating)
        throw new RuntimeError(
          'InvalidArgument',
          `NRI plugin ${plugin} updates container ${id} while it is being created; that is what adjustments are for`,
        );
      const known = this.#updates.get(id);
      const resources = linux?.resources ?? {};
      try {
        this.#owners.claim(id, plugin, claimsOf(resources));
      } catch (error) {
        if (!ignoresFailure) throw error;
        continue;
      }
      this.#updates.set(id, {
        resources: mergeLimits(known?.resources ?? {}, resources),
        ignoresFailure: ignoresFailure && (known?.ignoresFailure ?? true),
      });
    }
  }

  find(containerId: string): LinuxResourcesInit | undefined {
    return this.#updates.get(containerId)?.resources;
  }

  /** All but that of `without`. */
  toMessages(without?: string): ContainerUpdateInit[] {
    return [...this.#updates]
      .filter(([id]) => id !== without)
      .map(([id, { resources, ignoresFailure }]) => ({
        container_id: id,
        linux: { resources },
        ignore_failure: ignoresFailure,
      }));
  }
}
