/** Images from an archive: received, verified, unpacked as those of a pull are, and recorded when all of it is there. */
import { closeSync, openSync, readSync, rmSync } from 'node:fs';
import { isRuntimeError, RuntimeError } from '#base/errors.ts';
import { step } from '#base/step.ts';
import type { Digest, ImageId } from '../contract.ts';
import { algorithmOf, chainIdsOf } from '../digest.ts';
import type { Lease } from '../gc.ts';
import { parseImageConfig } from '../image-config.ts';
import { Limiter, runAll } from '../limiter.ts';
import type { Descriptor } from '../manifest.ts';
import { formatReference } from '../reference.ts';
import { type ArchivedImage, type ArchivedLayer, readArchiveIndex } from './archive-index.ts';
import { receiveArchive, refusedArchive } from './archive-receiver.ts';
import type { LoadedImage } from './contract.ts';
import { layerTypes, makeManifest } from './image-manifest.ts';
import { type OperationParts, releaseStaged } from './parts.ts';
import type { StagingPlace } from './staging.ts';

const layersAtOnce = 3;

let lastLoad = 0;

/** See contract.ts, load. */
export async function loadImages(
  parts: OperationParts,
  root: string,
  pieces: AsyncIterable<Buffer>,
  tag: string,
  signal: AbortSignal,
): Promise<readonly LoadedImage[]> {
  const { staging, leases, limits, log } = parts;
  const tagged = tag === '' ? undefined : nameFor(parts, tag);
  const lease = leases.open();
  const place = staging.open();
  try {
    const archive = await step('load-image/receive', () =>
      receiveArchive(pieces, place, limits, root, signal),
    );
    const images = readArchiveIndex(archive, parts.platform);
    if (tagged !== undefined && images.length > 1)
      throw new RuntimeError(
        'InvalidArgument',
        `loading images: the archive has ${images.length}, and one name cannot be given to all`,
      );
    const stored: StoredImage[] = [];
    for (const image of images) stored.push(await storeBlobs(parts, image, { lease, place }, signal));
    for (const image of stored) await unpack(parts, image, signal);
    const loaded = await step('load-image/record', () =>
      stored.map((image, index) => {
        const names = tagged === undefined ? images[index]!.names : [tagged];
        record(parts, image, names);
        return { id: image.config.digest as ImageId, names };
      }),
    );
    parts.flush();
    log.info({ images: loaded }, 'images loaded');
    return loaded;
  } catch (error) {
    // What unpacking a layer refuses is told of pulls without a class; here it is the client's archive.
    if (isRuntimeError(error, 'Unknown')) throw refusedArchive(error.message, error);
    throw error;
  } finally {
    await releaseStaged(parts, lease, place);
  }
}

/** A complete name with a tag. Throws InvalidArgument. */
export function nameFor({ complete }: Pick<OperationParts, 'complete'>, text: string): string {
  const reference = complete(text)[0]!;
  if (reference.tag === undefined)
    throw new RuntimeError('InvalidArgument', `${text} names a digest, which nobody can choose; give a tag`);
  return formatReference(reference);
}

export interface StoredImage {
  readonly config: ArchivedImage['config'];
  readonly diffIds: readonly Digest[];
  readonly layers: readonly Descriptor[];
  readonly manifests: readonly { readonly digest: Digest; readonly body: Buffer }[];
}

/** Moves an archive's blobs into the content store, verified. */
function storeBlobs(
  parts: OperationParts,
  image: ArchivedImage,
  { lease, place }: { readonly lease: Lease; readonly place: StagingPlace },
  signal: AbortSignal,
): Promise<StoredImage> {
  const { content } = parts;
  for (const chainId of chainIdsOf(image.diffIds)) lease.hold(chainId);
  return step('load-image/store', async () => {
    const layers = await runAll(image.layers, layersAtOnce, signal, (layer, _index, either) =>
      storeLayer(parts, layer, { lease, place }, either),
    );
    let { manifests } = image;
    if (manifests.length === 0) {
      const { digest, body } = image.config;
      manifests = [makeManifest({ digest, sizeBytes: body.length }, layers, 'docker')];
    }
    for (const { digest, body } of [image.config, ...manifests]) {
      lease.hold(digest);
      content.add(digest, body);
    }
    return { config: image.config, diffIds: image.diffIds, layers, manifests };
  });
}

async function storeLayer(
  { content, processes }: OperationParts,
  { file, blob }: ArchivedLayer,
  { lease, place }: { readonly lease: Lease; readonly place: StagingPlace },
  signal: AbortSignal,
): Promise<Descriptor> {
  if (blob) {
    lease.hold(blob.digest);
    if (content.has(blob.digest)) return blob;
    const task = { type: 'hash', path: file.path, algorithm: algorithmOf(blob.digest) } as const;
    const { digest, sizeBytes } = await processes.run<'hash'>(task, signal);
    if (digest !== blob.digest || sizeBytes !== blob.sizeBytes)
      throw refusedArchive(`layer ${blob.digest} has digest ${digest} and ${sizeBytes} bytes`);
    // Two images of an archive may share it.
    if (!content.has(digest)) content.take(digest, file.path);
    return blob;
  }
  // What docker saves is plain, which would be three times as large to keep.
  let { path } = file;
  let made: { readonly digest: Digest; readonly sizeBytes: number };
  if (isCompressed(path))
    made = await processes.run<'hash'>({ type: 'hash', path, algorithm: 'sha256' }, signal);
  else {
    const targetPath = place.next();
    made = await processes.run<'compress'>({ type: 'compress', path, targetPath }, signal);
    path = targetPath;
  }
  const { digest, sizeBytes } = made;
  lease.hold(digest);
  if (content.has(digest)) {
    if (path !== file.path) rmSync(path, { force: true });
  } else content.take(digest, path);
  return { mediaType: layerTypes.dockerGzip, digest, sizeBytes, urls: [] };
}

function isCompressed(path: string): boolean {
  const head = Buffer.alloc(4);
  const fd = openSync(path, 'r');
  try {
    readSync(fd, head, 0, head.length, 0);
  } finally {
    closeSync(fd);
  }
  return head.readUInt16BE(0) === 0x1f8b || head.readUInt32BE(0) === 0x28b52ffd;
}

/** Unpacks what is not unpacked yet. The layers' blobs must be in the content store. */
export async function unpack(parts: OperationParts, image: StoredImage, signal: AbortSignal): Promise<void> {
  lastLoad += 1;
  await parts.layers.ensureAll(
    {
      pullId: `load-${lastLoad}`,
      source: undefined,
      layers: image.layers,
      diffIds: image.diffIds,
      chainIds: chainIdsOf(image.diffIds),
      limiter: new Limiter(layersAtOnce),
      onBytes: () => {},
    },
    signal,
  );
}

/** Records an image with all its blobs: nobody else has its layers. */
export function record({ store }: OperationParts, image: StoredImage, names: readonly string[]): void {
  const { digest: id, body } = image.config;
  const manifest = image.manifests.at(-1);
  store.put(
    {
      id: id as ImageId,
      chainId: chainIdsOf(image.diffIds).at(-1),
      sizeBytes: image.layers.reduce(
        (sum, { sizeBytes }) => sum + sizeBytes,
        body.length + (manifest?.body.length ?? 0),
      ),
      config: parseImageConfig(body, `config of ${id}`).config,
      artifactType: undefined,
      blobs: [
        ...image.manifests.map(({ digest }) => digest),
        id,
        ...image.layers.map(({ digest }) => digest),
      ],
    },
    names,
  );
}
