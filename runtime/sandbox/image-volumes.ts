/**
 * Image volumes: the read-only content of an image as a mount of a container (CRI Mount.image). One mount per image and
 * pod, shared by its containers, gone when the pod is stopped.
 */
import { closeSync, constants, mkdirSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, RuntimeError } from '#base/errors.ts';
import { KeyedLock } from '#base/keyed-lock.ts';
import { listMounts, performMount, unmountAll } from '#host/mount.ts';
import { O_PATH, openInRoot } from '#host/rooted.ts';
import type { Image, ImageService, Snapshotter } from '#images/contract.ts';
import type { RequestedMount } from '../container/config.ts';
import type { RuntimePaths } from '../paths.ts';
import type { ResolvedMount } from '../spec/inputs.ts';
import type { SandboxRecord } from './record.ts';
import type { MappedLayers } from './user-namespace.ts';

/** The kubelet looks for this word at the start of the message (cri-api pkg/errors, ErrImageVolumeMountFailed). */
const marker = 'ImageVolumeMountFailed';

function failed(problem: string, cause?: unknown): RuntimeError {
  return new RuntimeError('InvalidArgument', `${marker}: ${problem}`, cause === undefined ? {} : { cause });
}

export interface ImageVolumesOptions {
  readonly images: Pick<ImageService, 'find'>;
  readonly snapshotter: Snapshotter;
  readonly paths: RuntimePaths;
  readonly mappedLayers: MappedLayers;
}

export class ImageVolumes {
  readonly #options: ImageVolumesOptions;
  readonly #lock = new KeyedLock();

  constructor(options: ImageVolumesOptions) {
    this.#options = options;
  }

  /** Mounts the image for the pod unless it is, and gives the mount for the spec. Throws InvalidArgument, NotFound; messages begin with ImageVolumeMountFailed. */
  async resolve(sandbox: SandboxRecord, mount: RequestedMount): Promise<ResolvedMount> {
    const reference = mount.image?.image ?? '';
    const image = this.#options.images.find(reference);
    if (!image)
      throw new RuntimeError('NotFound', `${marker}: image ${reference} is not here; pull it first`);
    const target = await this.#lock.run(`${sandbox.id}/${image.id}`, () =>
      this.#ensureMounted(sandbox, image),
    );
    return {
      containerPath: mount.containerPath,
      hostPath: mount.imageSubPath === '' ? target : subPathOf(target, mount.imageSubPath),
      isReadonly: true,
      isRecursiveReadonly: false,
      propagation: 'private',
      // The layers themselves are seen through the pod's mapping; the mount needs none of its own.
      uidMappings: [],
      gidMappings: [],
      extraOptions: mount.mountOptions ?? [],
    };
  }

  #directory(sandboxId: string): string {
    return join(this.#options.paths.sandbox(sandboxId), 'images');
  }

  async #ensureMounted(sandbox: SandboxRecord, image: Image): Promise<string> {
    const name = image.id.replace(':', '-');
    const target = join(this.#directory(sandbox.id), name);
    if (listMounts().some((mount) => mount.mountPoint === target)) return target;
    if (image.chainId === undefined) throw failed(`image ${image.id} has no layers to mount`);
    try {
      mkdirSync(target, { recursive: true, mode: 0o711 });
      const snapshot = await this.#options.snapshotter.view(volumeKey(sandbox.id, name), image.chainId);
      performMount(this.#options.mappedLayers.translate(sandbox, snapshot), target);
    } catch (error) {
      throw failed(`mounting image ${image.id} for sandbox ${sandbox.id}: ${messageOf(error)}`, error);
    }
    return target;
  }

  /** Unmounts every image of the pod. Idempotent, by what is found on disk. */
  async release(sandboxId: string): Promise<void> {
    const directory = this.#directory(sandboxId);
    let names: string[];
    try {
      names = readdirSync(directory);
    } catch {
      return; // the pod had no image volume
    }
    for (const name of names) {
      unmountAll(join(directory, name));
      await this.#options.snapshotter.remove(volumeKey(sandboxId, name));
    }
    rmSync(directory, { recursive: true, force: true });
  }
}

function volumeKey(sandboxId: string, name: string): string {
  return `volume-${sandboxId}-${name}`;
}

/** The folder `subPath` inside a mounted image, links confined to it. */
function subPathOf(root: string, subPath: string): string {
  if (subPath.startsWith('/') || subPath.split('/').includes('..'))
    throw failed(`sub path ${subPath} must be relative and without ..`);
  let fd: number;
  try {
    fd = openInRoot(root, subPath, constants.O_DIRECTORY | O_PATH);
  } catch (error) {
    throw failed(`sub path ${subPath} is not a folder of the image`, error);
  }
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } finally {
    closeSync(fd);
  }
}
