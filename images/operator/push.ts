/** An image to a registry: what the registry has is not sent, and the manifest goes last. */
import { RuntimeError } from '#base/errors.ts';
import { step } from '#base/step.ts';
import type { Image } from '../contract.ts';
import { runAll } from '../limiter.ts';
import type { Descriptor } from '../manifest.ts';
import { formatReference, type ImageReference, nameOf, parseReference } from '../reference.ts';
import { openPushClient, openSource, type PushSource } from '../registry/open.ts';
import type { PushClient } from '../registry/push-client.ts';
import type { LayerProgress, PushRequest, PushResult } from './contract.ts';
import { findManifest, refuseArtifact } from './image-manifest.ts';
import { gatherLayers, listOrigins } from './layer-blobs.ts';
import { type OperationParts, releaseStaged } from './parts.ts';

const atOnce = 3;
/** Repositories that a blob is asked for. */
const mostMounts = 3;

/** Where an image goes: as asked, else where its name says. Throws InvalidArgument. */
function targetOf(
  parts: OperationParts,
  request: PushRequest,
  image: Image,
  name: string | undefined,
): ImageReference {
  const text = request.target !== '' ? request.target : (name ?? image.repoTags[0]);
  if (text === undefined)
    throw new RuntimeError('InvalidArgument', `pushing ${image.id}: it has no name; say where it is to go`);
  const reference = parts.complete(text)[0]!;
  if (reference.tag === undefined)
    throw new RuntimeError(
      'InvalidArgument',
      `pushing to ${formatReference(reference)}: a digest comes of what is pushed; give a tag`,
    );
  return reference;
}

/** Repositories of the same registry that layers of this image are known to be in. */
function siblings(parts: OperationParts, image: Image, target: ImageReference): string[] {
  const manifest = findManifest(parts.store.getRecord(image.id), parts.content)?.manifest;
  const known = [...listOrigins(parts, image, manifest?.layers ?? []), ...image.repoTags]
    .map((name) => parseReference(name))
    .filter(({ domain, path }) => domain === target.domain && path !== target.path);
  return [...new Set(known.map(({ path }) => path))].slice(0, mostMounts);
}

/** Keeps what clients are told of each layer. */
class ProgressTable {
  readonly #onProgress: (layers: readonly LayerProgress[]) => void;
  #layers: LayerProgress[] = [];

  constructor(onProgress: (layers: readonly LayerProgress[]) => void) {
    this.#onProgress = onProgress;
  }

  begin(blobs: readonly (Descriptor | undefined)[]): void {
    this.#layers = blobs.map((blob) => ({
      digest: blob?.digest ?? '',
      sizeBytes: blob?.sizeBytes ?? 0,
      doneBytes: 0,
      state: 'waiting',
    }));
    this.#onProgress(this.#layers);
  }

  set(index: number, change: Partial<LayerProgress>): void {
    this.#layers[index] = { ...this.#layers[index]!, ...change };
    this.#onProgress(this.#layers);
  }
}

/** See contract.ts, push. */
export async function pushImage(
  parts: OperationParts,
  request: PushRequest,
  onProgress: (layers: readonly LayerProgress[]) => void,
  signal: AbortSignal,
): Promise<PushResult> {
  const { store, content, leases, staging, access, log } = parts;
  const found = store.lookUp(request.image);
  if (!found) throw new RuntimeError('NotFound', `there is no image ${JSON.stringify(request.image)} here`);
  const { image, name } = found;
  refuseArtifact(image, `pushing ${request.image}`);
  const reference = targetOf(parts, request, image, name);
  const source: PushSource = {
    ...(await openSource(reference, request.credentials, access, signal)),
    mountFrom: siblings(parts, image, reference),
  };
  // What may throw comes first: from the lease on, all is undone below.
  const client = openPushClient(source);
  const lease = leases.open();
  const place = staging.open();
  const table = new ProgressTable(onProgress);
  try {
    const outgoing = await step('export-image/gather-layers', () =>
      gatherLayers(
        parts,
        image,
        { lease, place },
        {
          findThere: (blob, either) => findThere(client, source, blob, either),
          onLayers: (blobs) => table.begin(blobs),
          onLayer: (index, state, doneBytes) => table.set(index, { state, doneBytes }),
        },
        signal,
      ),
    );
    const upload = (
      blob: { digest: Descriptor['digest']; sizeBytes: number },
      onBytes: (bytes: number) => void,
      either: AbortSignal,
    ) =>
      step('push-image/upload', () =>
        parts.processes.run<'upload'>(
          {
            type: 'upload',
            source: { ...source, grants: client.grants() },
            digest: blob.digest,
            sizeBytes: blob.sizeBytes,
            path: content.pathOf(blob.digest),
          },
          either,
          onBytes,
        ),
      );
    await runAll(outgoing.layers, atOnce, signal, async ({ blob, place: where }, index, either) => {
      const { digest, sizeBytes } = blob;
      if (where !== 'here') return;
      table.set(index, { digest, sizeBytes, doneBytes: 0, state: 'transferring' });
      // What was packed anew may be there from an earlier try.
      const isThere = outgoing.layersRemade > 0 && (await client.hasBlob(digest, either));
      if (!isThere) await upload(blob, (doneBytes) => table.set(index, { doneBytes }), either);
      table.set(index, { doneBytes: sizeBytes, state: isThere ? 'present' : 'done' });
    });
    const { config, manifest, layersRemade } = outgoing;
    if (!(await client.hasBlob(config.digest, signal))) await upload(config, () => {}, signal);
    await step('push-image/manifest', async () => {
      await client.putManifest(reference.tag!, manifest.body, manifest.mediaType, signal);
      // It is what this image is there now, unless it was removed meanwhile.
      if (layersRemade === 0 && store.find(image.id)) {
        const record = store.getRecord(image.id);
        const blobs = [...record.blobs, manifest.digest];
        store.put({ ...record, blobs }, [`${nameOf(reference)}@${manifest.digest}`]);
      }
    });
    const sizeBytes = outgoing.layers.reduce((sum, { blob }) => sum + blob.sizeBytes, config.sizeBytes);
    log.info({ image: image.id, target: formatReference(reference), layersRemade }, 'image pushed');
    return {
      reference: formatReference(reference),
      imageId: image.id,
      digest: manifest.digest,
      sizeBytes,
      layersRemade,
    };
  } finally {
    client.close();
    await releaseStaged(parts, lease, place);
  }
}

/** Whether the target has a blob, or takes it over from another repository of its registry. */
async function findThere(
  client: PushClient,
  source: PushSource,
  blob: Descriptor,
  signal: AbortSignal,
): Promise<'present' | 'mounted' | undefined> {
  // What may not be distributed stays where it is.
  if (blob.urls.length > 0 && /nondistributable|foreign/.test(blob.mediaType)) return 'present';
  if (await client.hasBlob(blob.digest, signal)) return 'present';
  for (const from of source.mountFrom)
    if (await client.mountBlob(blob.digest, from, signal).catch(() => false)) return 'mounted'; // it is uploaded then
  return undefined;
}
