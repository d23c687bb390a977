/** Taking away what a container has, by its id alone; for removal, failed creation and recovery alike. */
import { existsSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '#base/log.ts';
import { step } from '#base/step.ts';
import { unmountAllAside } from '#host/mount.ts';
import type { Snapshotter } from '#images/contract.ts';
import type { HandlerTable } from '../handlers.ts';
import { awaitMonitorEnd } from '../monitor/end-monitor.ts';
import type { ExitFiles } from '../monitor/exit-files.ts';
import type { RuntimePaths } from '../paths.ts';
import type { HostFacts } from '../spec/inputs.ts';
import { clearOwnGroup } from './cgroup-location.ts';
import type { ContainerId } from './config.ts';
import { removeVolumes } from './volumes.ts';

export interface DismantlerOptions {
  readonly paths: RuntimePaths;
  readonly exits: ExitFiles;
  readonly snapshotter: Snapshotter;
  readonly handlers: HandlerTable;
  readonly host: HostFacts;
  readonly log: Log;
}

export class ContainerDismantler {
  readonly #options: DismantlerOptions;

  constructor(options: DismantlerOptions) {
    this.#options = options;
  }

  /**
   * Removes everything a container ever had, by its id; idempotent, for recovery and remove alike. `isReleased` says that
   * the OCI runtime has forgotten it already, which saves a process.
   */
  async dismantle(id: ContainerId, handler: string, isReleased = false): Promise<void> {
    const { paths, exits, snapshotter } = this.#options;
    await this.clearRuntime(id, handler, isReleased);
    await step('remove-container/remove-snapshot', () => snapshotter.remove(id));
    await step('remove-container/remove-volumes', async () => {
      await removeVolumes(paths.volumes(id));
      await removeVolumes(paths.restore(id));
    });
    await step('remove-container/remove-bundle', () => {
      rmSync(paths.bundle(id), { recursive: true, force: true });
      rmSync(join(paths.sockets, id), { force: true });
      exits.remove(id);
    });
  }

  /** Has the OCI runtime forget a container, its monitor end, its cgroup and its mounts go. Idempotent. */
  async clearRuntime(id: ContainerId, handler: string, isReleased: boolean): Promise<void> {
    const { paths } = this.#options;
    const runtime = this.#options.handlers.owner(id, handler);
    if (isReleased || (!existsSync(paths.bundle(id)) && !runtime.holds(id))) return;
    await step('remove-container/delete-from-runtime', async () => {
      await runtime.remove(id);
      await awaitMonitorEnd(paths.bundle(id));
      await this.#clearCgroup(id);
      await unmountAllAside(paths.rootfs(id));
    });
  }

  /** The OCI spec in the bundle; null if there is none to read: after a reboot the bundle is gone. */
  readSpec(id: ContainerId): unknown {
    try {
      return JSON.parse(readFileSync(join(this.#options.paths.bundle(id), 'config.json'), 'utf8'));
    } catch {
      return null; // whoever asks goes on without it
    }
  }

  /** The cgroup that the bundle names, for an OCI runtime that was killed at work leaves it. */
  async #clearCgroup(id: ContainerId): Promise<void> {
    const { linux } = (this.readSpec(id) ?? {}) as { linux?: { cgroupsPath?: string } };
    const path = linux?.cgroupsPath ?? '';
    if (!(await clearOwnGroup(this.#options.host.cgroupVersion, id, path)))
      this.#options.log.warn(
        { containerId: id, cgroup: path },
        'processes in the cgroup of a container do not die',
      );
  }
}

/** Removes a bundle whose root must not be mounted any more: rmdir fails if it is. */
export function removeBundle(bundle: string, rootfs: string): void {
  if (existsSync(rootfs)) rmdirSync(rootfs);
  rmSync(bundle, { recursive: true, force: true });
}
