/** What images occupy: shared and their own, and what could go. */
import type { ChainId, Digest, Image, ImageId } from '../contract.ts';
import type { ImageRecord } from '../image-records.ts';
import type { Layer } from '../snapshots/snapshotter.ts';
import type { ImageUsage, LoadedImage, PruneRequest, PruneResult, StoreUsage } from './contract.ts';
import type { OperationParts } from './parts.ts';

interface Belongings {
  readonly layers: ReadonlySet<ChainId>;
  readonly blobs: ReadonlySet<Digest>;
}

class Account {
  readonly #layers: ReadonlyMap<ChainId, Layer>;
  readonly #blobSize: (digest: Digest) => number;

  constructor({ snapshotter, content }: OperationParts) {
    this.#layers = new Map(snapshotter.listLayers().map((layer) => [layer.chainId, layer]));
    this.#blobSize = (digest) => content.sizeOf(digest) ?? 0;
  }

  stackOf(top: ChainId | undefined): Set<ChainId> {
    const stack = new Set<ChainId>();
    for (let next = top; next !== undefined && !stack.has(next); next = this.#layers.get(next)?.parent)
      stack.add(next);
    return stack;
  }

  of(record: ImageRecord): Belongings {
    return { layers: this.stackOf(record.chainId), blobs: new Set(record.blobs) };
  }

  layerBytes(chainId: ChainId): number {
    return this.#layers.get(chainId)?.usedBytes ?? 0;
  }

  blobBytes(digest: Digest): number {
    return this.#blobSize(digest);
  }

  get allLayers(): readonly ChainId[] {
    return [...this.#layers.keys()];
  }
}

function createdAtMs(image: Image): number {
  try {
    const { created } = JSON.parse(image.rawConfig) as { created?: unknown };
    const ms = typeof created === 'string' ? Date.parse(created) : Number.NaN;
    return Number.isNaN(ms) ? 0 : ms;
  } catch {
    return 0; // an artifact, or a damaged config, does not say
  }
}

/** See contract.ts, usage. */
export async function storeUsage(parts: OperationParts): Promise<StoreUsage> {
  const { store, content } = parts;
  const account = new Account(parts);
  const belongings = new Map(store.records().map((record) => [record.id, account.of(record)]));
  const layerUsers = new Map<ChainId, number>();
  const blobUsers = new Map<Digest, number>();
  for (const { layers, blobs } of belongings.values()) {
    for (const chainId of layers) layerUsers.set(chainId, (layerUsers.get(chainId) ?? 0) + 1);
    for (const digest of blobs) blobUsers.set(digest, (blobUsers.get(digest) ?? 0) + 1);
  }
  const images = store.list().map((image): ImageUsage => {
    let sharedBytes = 0;
    let uniqueBytes = 0;
    const add = (bytes: number, users: number | undefined): void => {
      if ((users ?? 0) > 1) sharedBytes += bytes;
      else uniqueBytes += bytes;
    };
    const { layers, blobs } = belongings.get(image.id)!;
    for (const chainId of layers) add(account.layerBytes(chainId), layerUsers.get(chainId));
    for (const digest of blobs) add(account.blobBytes(digest), blobUsers.get(digest));
    return { image, sharedBytes, uniqueBytes, createdAtMs: createdAtMs(image) };
  });
  let layerBytes = 0;
  let blobBytes = 0;
  let unneededBytes = 0;
  for (const chainId of account.allLayers) {
    const bytes = account.layerBytes(chainId);
    layerBytes += bytes;
    if (!layerUsers.has(chainId)) unneededBytes += bytes;
  }
  for (const digest of content.list()) {
    const bytes = account.blobBytes(digest);
    blobBytes += bytes;
    if (!blobUsers.has(digest)) unneededBytes += bytes;
  }
  return { images, layerBytes, blobBytes, unneededBytes };
}

/** See contract.ts, prune. `remove` takes one image away. */
export async function pruneImages(
  parts: OperationParts,
  { isDryRun, isAll, createdBeforeMs }: PruneRequest,
  usersOf: (id: ImageId) => readonly string[],
  remove: (id: ImageId) => Promise<void>,
): Promise<PruneResult> {
  const { store, snapshotter } = parts;
  const account = new Account(parts);
  const doomed = store.list().filter((image) => {
    if (image.isPinned || usersOf(image.id).length > 0) return false;
    if (!isAll && image.repoTags.length > 0) return false;
    if (createdBeforeMs === undefined) return true;
    const ms = createdAtMs(image);
    return ms !== 0 && ms < createdBeforeMs;
  });
  const ids = new Set(doomed.map(({ id }) => id));
  const kept: Belongings[] = store.records().flatMap((one) => (ids.has(one.id) ? [] : [account.of(one)]));
  const keptLayers = new Set([
    ...kept.flatMap(({ layers }) => [...layers]),
    ...snapshotter.layersInUse().flatMap((top) => [...account.stackOf(top)]),
  ]);
  const keptBlobs = new Set(kept.flatMap(({ blobs }) => [...blobs]));
  let freedBytes = 0;
  const goneLayers = new Set<ChainId>();
  const goneBlobs = new Set<Digest>();
  for (const { id } of doomed) {
    const { layers, blobs } = account.of(store.getRecord(id));
    for (const chainId of layers) if (!keptLayers.has(chainId)) goneLayers.add(chainId);
    for (const digest of blobs) if (!keptBlobs.has(digest)) goneBlobs.add(digest);
  }
  for (const chainId of goneLayers) freedBytes += account.layerBytes(chainId);
  for (const digest of goneBlobs) freedBytes += account.blobBytes(digest);
  const images: LoadedImage[] = [];
  for (const { id, repoTags, repoDigests } of doomed) {
    if (!isDryRun) await remove(id);
    images.push({ id, names: repoTags.length > 0 ? repoTags : repoDigests });
  }
  return { images, freedBytes };
}
