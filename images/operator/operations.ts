/** The operations of `contract.ts` on this node's images. */
import { RuntimeError } from '#base/errors.ts';
import { step } from '#base/step.ts';
import type { Digest, Image, ImageId, PullCredentials } from '../contract.ts';
import { chainIdsOf } from '../digest.ts';
import { parseImageConfig } from '../image-config.ts';
import type { PullProgress } from '../pull.ts';
import { openPushClient, openSource } from '../registry/open.ts';
import { commitLayer, listLayerChanges } from './commit.ts';
import type {
  ArchiveFormat,
  CommitOptions,
  FileChange,
  ImageDetails,
  ImageOperations,
  LayerProgress,
  LayerSource,
  LoadedImage,
  OperatorPull,
  PruneRequest,
  PruneResult,
  PushRequest,
  PushResult,
  Removal,
  StoreUsage,
} from './contract.ts';
import { findManifest, getImage } from './image-manifest.ts';
import { loadImages, nameFor } from './load.ts';
import type { OperationParts } from './parts.ts';
import { pushImage } from './push.ts';
import { saveImages } from './save.ts';
import { pruneImages, storeUsage } from './store-usage.ts';

export class LocalImageOperations implements ImageOperations {
  readonly #parts: OperationParts;
  readonly #root: string;

  /** `root` is on the file system of the store, for looking how much is free. */
  constructor(parts: OperationParts, root: string) {
    this.#parts = parts;
    this.#root = root;
  }

  /** Removes what an earlier daemon left half done. */
  recover(): void {
    this.#parts.staging.recover();
  }

  pull(
    { reference, platform, credentials }: OperatorPull,
    onProgress: (progress: PullProgress) => void,
    signal: AbortSignal,
  ): Promise<Image> {
    return this.#parts.pull(
      { reference, credentials, ...(platform !== '' && { platform }) },
      onProgress,
      signal,
    );
  }

  push(
    request: PushRequest,
    onProgress: (layers: readonly LayerProgress[]) => void,
    signal: AbortSignal,
  ): Promise<PushResult> {
    return pushImage(this.#parts, request, onProgress, signal);
  }

  async verifyLogin(registry: string, credentials: PullCredentials, signal: AbortSignal): Promise<void> {
    const { complete, access } = this.#parts;
    // Any repository of it: its hosts are what counts.
    const [reference] = complete(`${registry}/login/check`);
    if (!reference || reference.domain !== (registry === 'index.docker.io' ? 'docker.io' : registry))
      throw new RuntimeError('InvalidArgument', `${JSON.stringify(registry)} is no registry: give its host`);
    const source = await openSource(reference, credentials, access, signal);
    const client = openPushClient({ ...source, repository: '', mountFrom: [] });
    try {
      await client.checkLogin(signal);
    } finally {
      client.close();
    }
  }

  findName(reference: string): string | undefined {
    return this.#parts.store.lookUp(reference)?.name;
  }

  async tag(image: string, target: string): Promise<{ reference: string; id: ImageId }> {
    const { store } = this.#parts;
    const { id } = getImage(store, image);
    const reference = nameFor(this.#parts, target);
    await step('tag-image/record', () => store.put(store.getRecord(id), [reference]));
    return { reference, id };
  }

  async remove(
    reference: string,
    isForced: boolean,
    usersOf: (id: ImageId) => readonly string[],
  ): Promise<Removal> {
    const { store } = this.#parts;
    const found = store.lookUp(reference);
    if (!found) throw new RuntimeError('NotFound', `there is no image ${JSON.stringify(reference)} here`);
    const { image, name } = found;
    const isTag = name !== undefined && !name.includes('@');
    // Digest names say where it came from; they are no reason to keep it once its last tag goes.
    const isLast = name === undefined || (isTag ? image.repoTags.length === 1 : image.repoTags.length === 0);
    if (!isLast) {
      await step('remove-image/untag', () => store.removeName(name));
      return { untagged: [name], deleted: [] };
    }
    if (!isForced) {
      if (name === undefined && image.repoTags.length > 1)
        throw new RuntimeError(
          'FailedPrecondition',
          `image ${image.id} has several names: ${image.repoTags.join(', ')}; remove those, or force it`,
        );
      const users = usersOf(image.id);
      if (users.length > 0)
        throw new RuntimeError(
          'FailedPrecondition',
          `image ${image.id} is used by container ${users.map((id) => id.slice(0, 12)).join(', ')}; remove it first, or force it: the layers stay as long as they are used`,
        );
    }
    await this.#removeWhole(image.id);
    return { untagged: [...image.repoTags, ...image.repoDigests], deleted: [image.id] };
  }

  async #removeWhole(id: ImageId): Promise<void> {
    const { store, collect, log } = this.#parts;
    await step('remove-image/forget', () => store.remove(id));
    await step('remove-image/collect', () => collect());
    log.info({ image: id }, 'image removed');
  }

  describe(reference: string): ImageDetails {
    const { store, content, snapshotter } = this.#parts;
    const image = getImage(store, reference);
    const known = findManifest(store.getRecord(image.id), content);
    const manifest = known && { digest: known.digest, text: known.body.toString('utf8') };
    if (image.artifactType !== undefined) return { image, manifest, layers: [] };
    const { diffIds } = parseImageConfig(image.rawConfig, `config of ${image.id}`);
    const chainIds = chainIdsOf(diffIds);
    const sizes = new Map(snapshotter.listLayers().map((layer) => [layer.chainId, layer.usedBytes]));
    const layers = diffIds.map((diffId, index) => {
      const blob = known?.manifest.layers[index];
      const chainId = chainIds[index]!;
      return {
        diffId,
        chainId: chainId as Digest,
        blobDigest: blob?.digest,
        blobBytes: blob?.sizeBytes ?? 0,
        diskBytes: sizes.get(chainId) ?? 0,
        isBlobKept: blob !== undefined && content.has(blob.digest),
      };
    });
    return { image, manifest, layers };
  }

  load(archive: AsyncIterable<Buffer>, tag: string, signal: AbortSignal): Promise<readonly LoadedImage[]> {
    return loadImages(this.#parts, this.#root, archive, tag, signal);
  }

  save(
    references: readonly string[],
    format: ArchiveFormat,
    onStart: (layersRemade: number) => Promise<void>,
    send: (piece: Buffer) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    return saveImages(this.#parts, references, format, onStart, send, signal);
  }

  commit(source: LayerSource, options: CommitOptions, signal: AbortSignal): Promise<ImageId> {
    return commitLayer(this.#parts, source, options, signal);
  }

  listChanges(
    source: LayerSource,
    send: (changes: readonly FileChange[]) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    return listLayerChanges(this.#parts, source, send, signal);
  }

  usage(): Promise<StoreUsage> {
    return storeUsage(this.#parts);
  }

  prune(request: PruneRequest, usersOf: (id: ImageId) => readonly string[]): Promise<PruneResult> {
    return pruneImages(this.#parts, request, usersOf, (id) => this.#removeWhole(id));
  }
}
