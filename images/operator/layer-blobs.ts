/**
 * The compressed layers of an image that is to go out: those kept here, those that the place it goes to has, those that the
 * registry it came from still has; what is left is packed anew from the unpacked layers, and the image then has another digest.
 */
import { isRuntimeError, messageOf } from '#base/errors.ts';
import type { Digest, Image } from '../contract.ts';
import { algorithmOf, chainIdsOf, digestOf } from '../digest.ts';
import type { Lease } from '../gc.ts';
import { parseImageConfig } from '../image-config.ts';
import { runAll } from '../limiter.ts';
import type { Descriptor } from '../manifest.ts';
import type { ChangedTree } from '../pack/tree-changes.ts';
import { parseReference } from '../reference.ts';
import { openSource } from '../registry/open.ts';
import { findManifest, getConfig, layerTypes, makeManifest } from './image-manifest.ts';
import type { OperationParts } from './parts.ts';
import type { StagingPlace } from './staging.ts';

const atOnce = 3;

export interface OutgoingLayer {
  readonly blob: Descriptor;
  /** Whether it is in the content store, or at the place that the image goes to. */
  readonly place: 'here' | 'present' | 'mounted';
}

export interface OutgoingImage {
  readonly manifest: { readonly body: Buffer; readonly digest: Digest; readonly mediaType: string };
  readonly config: { readonly digest: Digest; readonly sizeBytes: number };
  readonly layers: readonly OutgoingLayer[];
  readonly layersRemade: number;
}

export interface GatherOptions {
  /** Whether the place that the image goes to has a layer, perhaps because it now took it over. */
  readonly findThere?: (blob: Descriptor, signal: AbortSignal) => Promise<'present' | 'mounted' | undefined>;
  /** Told which layers there are, and of what becomes of each. */
  readonly onLayers?: (blobs: readonly (Descriptor | undefined)[]) => void;
  readonly onLayer?: (
    index: number,
    state: 'transferring' | 'making' | 'present' | 'mounted',
    bytes: number,
  ) => void;
}

/** Gathers all of `image`, held by `lease`. Throws DataLoss, ResourceExhausted, Unknown, Canceled, and what `findThere` throws. */
export async function gatherLayers(
  parts: OperationParts,
  image: Image,
  { lease, place }: { readonly lease: Lease; readonly place: StagingPlace },
  options: GatherOptions,
  signal: AbortSignal,
): Promise<OutgoingImage> {
  const { content, store, snapshotter } = parts;
  const rawConfig = getConfig(content, image.id);
  lease.hold(image.id);
  const { diffIds } = parseImageConfig(rawConfig, `config of ${image.id}`);
  const chainIds = chainIdsOf(diffIds);
  for (const chainId of chainIds) lease.hold(chainId);
  const known = findManifest(store.getRecord(image.id), content);
  if (known) lease.hold(known.digest);
  const blobs = diffIds.map((_id, index) => known?.manifest.layers[index]);
  for (const blob of blobs) if (blob) lease.hold(blob.digest);
  options.onLayers?.(blobs);

  const found = await runAll(
    blobs,
    atOnce,
    signal,
    async (blob, index, either): Promise<OutgoingLayer | undefined> => {
      if (!blob) return undefined;
      const there = await options.findThere?.(blob, either);
      if (there !== undefined) {
        options.onLayer?.(index, there, blob.sizeBytes);
        return { blob, place: there };
      }
      const onBytes = (bytes: number) => options.onLayer?.(index, 'making', bytes);
      const isHere =
        (await isKept(parts, blob, either)) || (await fetchAgain(parts, image, blob, place, onBytes, either));
      return isHere ? { blob, place: 'here' } : undefined;
    },
  );
  const configBlob = { digest: image.id as Digest, sizeBytes: rawConfig.length };
  if (known && found.every((layer) => layer !== undefined)) {
    const { body, digest, manifest } = known;
    return {
      manifest: { body, digest, mediaType: manifest.mediaType },
      config: configBlob,
      layers: found as OutgoingLayer[],
      layersRemade: 0,
    };
  }
  // What is made anew need not differ, but its blob is another.
  const newDiffIds = [...diffIds];
  const layers: OutgoingLayer[] = [];
  let layersRemade = 0;
  for (const [index, layer] of found.entries()) {
    if (layer) {
      layers.push(layer);
      continue;
    }
    options.onLayer?.(index, 'making', 0);
    const targetPath = place.next();
    const tree = layerTree(snapshotter.layerDirs(chainIds[index]!), snapshotter.treeForm);
    const made = await parts.processes.run<'pack'>({ type: 'pack', tree, targetPath }, signal);
    lease.hold(made.digest);
    content.take(made.digest, targetPath);
    newDiffIds[index] = made.diffId;
    layersRemade += 1;
    const blob = { mediaType: layerTypes.ociGzip, digest: made.digest, sizeBytes: made.sizeBytes, urls: [] };
    layers.push({ blob, place: 'here' });
  }
  const isSame = newDiffIds.every((diffId, index) => diffId === diffIds[index]);
  const config = isSame ? rawConfig : Buffer.from(withDiffIds(rawConfig, newDiffIds));
  const digest = digestOf(config);
  lease.hold(digest);
  content.add(digest, config);
  const manifest = makeManifest(
    { digest, sizeBytes: config.length },
    layers.map(({ blob }) => blob),
  );
  lease.hold(manifest.digest);
  content.add(manifest.digest, manifest.body);
  return { manifest, config: { digest, sizeBytes: config.length }, layers, layersRemade };
}

function withDiffIds(rawConfig: Buffer, diffIds: readonly Digest[]): string {
  const config = JSON.parse(rawConfig.toString('utf8')) as Record<string, unknown>;
  return JSON.stringify({ ...config, rootfs: { type: 'layers', diff_ids: diffIds } });
}

/** A committed layer over those below it. */
function layerTree(layerDirs: readonly string[], form: ChangedTree['form']): ChangedTree {
  return { form, directory: layerDirs[0]!, lowerDirs: layerDirs.slice(1), excluded: [] };
}

/** Whether the content store has the blob, undamaged; a damaged one is removed. */
async function isKept(
  { content, processes, log }: OperationParts,
  { digest }: Descriptor,
  signal: AbortSignal,
): Promise<boolean> {
  if (!content.has(digest)) return false;
  const task = { type: 'hash', path: content.pathOf(digest), algorithm: algorithmOf(digest) } as const;
  const hashed = await processes.run<'hash'>(task, signal).catch((error: unknown) => {
    if (isRuntimeError(error, 'NotFound')) return undefined;
    throw error;
  });
  if (hashed?.digest === digest) return true;
  log.warn({ blob: digest }, 'a kept layer was damaged and is removed');
  content.remove(digest);
  return false;
}

/**
 * Names by digest of where some of these blobs were pulled from: the image's own, then those of other images here that have the
 * blobs too, such as the one that a commit stands on.
 */
export function listOrigins(
  { store, content }: Pick<OperationParts, 'store' | 'content'>,
  image: Image,
  blobs: readonly { readonly digest: Digest }[],
): string[] {
  const wanted = new Set(blobs.map(({ digest }) => digest));
  const others = store.list().filter((other) => {
    if (other.id === image.id || other.repoDigests.length === 0) return false;
    const known = findManifest(store.getRecord(other.id), content);
    return known?.manifest.layers.some(({ digest }) => wanted.has(digest)) === true;
  });
  return [...image.repoDigests, ...others.flatMap(({ repoDigests }) => repoDigests)];
}

/** Fetches a blob from where its image came from; false if that cannot be. */
async function fetchAgain(
  parts: OperationParts,
  image: Image,
  blob: Descriptor,
  place: StagingPlace,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<boolean> {
  const { content, processes, access, log } = parts;
  for (const name of listOrigins(parts, image, [blob]))
    try {
      const source = await openSource(parseReference(name), undefined, access, signal);
      const targetPath = place.next();
      await processes.run<'fetch'>({ type: 'fetch', source, blob, targetPath }, signal, onBytes);
      content.take(blob.digest, targetPath);
      return true;
    } catch (error) {
      if (signal.aborted || isRuntimeError(error, 'ResourceExhausted')) throw error;
      log.debug({ blob: blob.digest, from: name, err: error }, `not fetched again: ${messageOf(error)}`);
    }
  return false;
}
