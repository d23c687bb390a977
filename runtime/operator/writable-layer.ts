/** A container's writable layer, for who packs or lists it: as it is, or with the container standing still. */
import { RuntimeError, throwIfAborted } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { step, stepAnyway } from '#base/step.ts';
import type { ImageId, ImageService, Snapshotter } from '#images/contract.ts';
import type { LayerSource } from '#images/operator/contract.ts';
import { forgetCapture, freeze, thaw } from '../checkpoint/freezer.ts';
import type { CrunContainers } from '../container/manager.ts';
import type { ContainerRecord } from '../container/record.ts';
import type { HandlerTable } from '../handlers.ts';
import type { RuntimePaths } from '../paths.ts';
import type { RecordStore } from '../record-store.ts';
import type { SandboxRecord } from '../sandbox/record.ts';
import type { ContainerLayers, ContainerUsage } from './layer-contract.ts';

export interface WritableLayersOptions {
  readonly containers: CrunContainers;
  readonly sandboxRecords: RecordStore<SandboxRecord>;
  readonly handlers: HandlerTable;
  readonly paths: RuntimePaths;
  readonly images: Pick<ImageService, 'find'>;
  readonly snapshotter: Pick<Snapshotter, 'usage'>;
  /** Bytes of a folder on the disk; 0 if it is not there. */
  readonly measureFolder: (path: string) => Promise<number>;
  readonly log: Log;
}

export class WritableLayers implements ContainerLayers {
  readonly #options: WritableLayersOptions;

  constructor(options: WritableLayersOptions) {
    this.#options = options;
  }

  /**
   * Calls `work` with the writable layer, which is there until it returns, and with when to give up. With `isPaused` a running container stands still
   * meanwhile; a daemon that dies then lets it go on when it starts. Throws NotFound, FailedPrecondition, Internal (pausing).
   */
  async use<T>(
    idOrPrefix: string,
    isPaused: boolean,
    work: (source: LayerSource, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const { containers } = this.#options;
    const record = containers.get(idOrPrefix);
    throwIfAborted(signal, `reading the layer of container ${record.id}`);
    if (record.state === 'exited')
      return containers.whileExited(record.id, signal, (either) => work(this.#sourceOf(record), either));
    if (record.state !== 'running' && record.state !== 'created')
      throw new RuntimeError(
        'FailedPrecondition',
        `container ${record.id} is ${record.state}; its layer cannot be read`,
      );
    if (record.state === 'created' || !isPaused || record.isPaused === true)
      return work(this.#sourceOf(record), signal);
    return this.#whilePaused(record, (source) => work(source, signal));
  }

  async #whilePaused<T>(record: ContainerRecord, work: (source: LayerSource) => Promise<T>): Promise<T> {
    const { containers, handlers, paths, log } = this.#options;
    return containers.hold([record.id], async ([held]) => {
      const { id, handler, process, state } = held!;
      // Paused by an operator, it stays so.
      if (state !== 'running' || held!.isPaused === true) return work(this.#sourceOf(held!));
      const bundle = paths.bundle(id);
      const container = { id, handler: handlers.get(handler), bundle, process };
      try {
        await step('commit-container/pause', () => freeze(container, [], log));
        return await work(this.#sourceOf(held!));
      } finally {
        await stepAnyway('commit-container/resume', async () => {
          await thaw(container, log);
          forgetCapture(container.bundle);
        });
      }
    });
  }

  usersOf(image: ImageId): readonly string[] {
    const { containers, images } = this.#options;
    return containers.list().flatMap(({ id, imageId, config }) => {
      const isUser =
        imageId === image ||
        config.mounts.some((mount) => mount.image && images.find(mount.image.image)?.id === image);
      return isUser ? [id] : [];
    });
  }

  async usage(): Promise<readonly ContainerUsage[]> {
    const { containers, snapshotter, measureFolder, paths } = this.#options;
    const found: ContainerUsage[] = [];
    for (const { id } of containers.list()) {
      const folder = `${paths.volumes(id)}/`;
      const own = this.#mountsOf(id).filter(({ source }) => source?.startsWith(folder));
      const volumes: ContainerUsage['volumes'][number][] = [];
      for (const { destination, source } of own)
        volumes.push({ path: destination, usedBytes: await measureFolder(source!) });
      // One that goes meanwhile occupies nothing.
      const writable = await snapshotter.usage(id).catch(() => undefined);
      if (writable) found.push({ id, writableBytes: writable.usedBytes, volumes });
    }
    return found;
  }

  #mountsOf(id: string): readonly { readonly destination: string; readonly source?: string }[] {
    const { runtimeSpec } = this.#options.containers.describe(id) as {
      runtimeSpec: { mounts?: readonly { destination: string; source?: string }[] } | null;
    };
    return runtimeSpec?.mounts ?? [];
  }

  #sourceOf(record: ContainerRecord): LayerSource {
    const { sandboxRecords } = this.#options;
    if (sandboxRecords.getExact(record.sandboxId).usernsPath !== '')
      throw new RuntimeError(
        'FailedPrecondition',
        `container ${record.id} is in a user namespace: the owners of its files are not those of an image`,
      );
    return {
      snapshotKey: record.id,
      imageId: record.imageId,
      mountTargets: this.#mountsOf(record.id).map(({ destination }) => destination),
    };
  }
}
