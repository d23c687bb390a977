/** Images as an archive, in a stream: an OCI image layout, or what `docker load` takes. */
import { open } from 'node:fs/promises';
import { RuntimeError, throwIfAborted } from '#base/errors.ts';
import { step } from '#base/step.ts';
import type { Digest, Image } from '../contract.ts';
import { algorithmOf, hexOf } from '../digest.ts';
import { parseImageConfig } from '../image-config.ts';
import { mediaTypes, type Platform } from '../manifest.ts';
import { archiveEnd, padding, plainFile } from '../pack/tar-encoder.ts';
import { Decompressor } from '../unpack/decompress.ts';
import type { ArchiveFormat } from './contract.ts';
import { getImage, refuseArtifact } from './image-manifest.ts';
import { gatherLayers, type OutgoingImage } from './layer-blobs.ts';
import { type OperationParts, releaseStaged } from './parts.ts';

const pieceBytes = 512 << 10;

interface Saved {
  readonly outgoing: OutgoingImage;
  /** What it is called in the archive. */
  readonly names: readonly string[];
}

/** See contract.ts, save. */
export async function saveImages(
  parts: OperationParts,
  references: readonly string[],
  format: ArchiveFormat,
  onStart: (layersRemade: number) => Promise<void>,
  send: (piece: Buffer) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { leases, staging } = parts;
  const chosen = choose(parts, references);
  const lease = leases.open();
  const place = staging.open();
  try {
    const saved: Saved[] = [];
    for (const { image, names } of chosen) {
      refuseArtifact(image, `saving ${image.id}`);
      lease.hold(image.id);
      const outgoing = await step('export-image/gather-layers', () =>
        gatherLayers(parts, image, { lease, place }, {}, signal),
      );
      saved.push({ outgoing, names });
    }
    await onStart(saved.reduce((sum, { outgoing }) => sum + outgoing.layersRemade, 0));
    const writer = new ArchiveStream(parts, send, signal);
    if (format === 'oci') await writeLayout(writer, saved);
    else await writeDockerArchive(writer, saved);
    await send(archiveEnd);
  } finally {
    await releaseStaged(parts, lease, place);
  }
}

/** The images that are meant, each once, with the names they were asked for by; by ID with all their tags. */
function choose(
  { store }: OperationParts,
  references: readonly string[],
): { readonly image: Image; readonly names: readonly string[] }[] {
  const chosen = new Map<string, { image: Image; names: Set<string> }>();
  for (const reference of references) {
    const image = getImage(store, reference);
    const { name } = store.lookUp(reference)!;
    const known = chosen.get(image.id) ?? { image, names: new Set<string>() };
    chosen.set(image.id, known);
    if (name === undefined) for (const tag of image.repoTags) known.names.add(tag);
    else if (!name.includes('@')) known.names.add(name);
  }
  return [...chosen.values()].map(({ image, names }) => ({ image, names: [...names] }));
}

/** Writes files of an archive, each name once. */
class ArchiveStream {
  readonly #parts: OperationParts;
  readonly #send: (piece: Buffer) => Promise<void>;
  readonly #signal: AbortSignal;
  readonly #names = new Set<string>();

  constructor(parts: OperationParts, send: (piece: Buffer) => Promise<void>, signal: AbortSignal) {
    this.#parts = parts;
    this.#send = send;
    this.#signal = signal;
  }

  async text(name: string, body: string | Buffer): Promise<void> {
    if (this.#names.has(name)) return;
    this.#names.add(name);
    const bytes = Buffer.from(body as string);
    await this.#send(Buffer.concat([plainFile(name, bytes.length), bytes, padding(bytes.length)]));
  }

  config(digest: Digest): Buffer {
    const body = this.#parts.content.find(digest);
    if (!body) throw new RuntimeError('DataLoss', `saving images: blob ${digest} is damaged`);
    return body;
  }

  /** A blob of the content store as it is. */
  async blob(name: string, digest: Digest, sizeBytes: number): Promise<void> {
    if (this.#names.has(name)) return;
    this.#names.add(name);
    await this.#send(plainFile(name, sizeBytes));
    await this.#pieces(digest, this.#send);
    await this.#send(padding(sizeBytes));
  }

  /** A layer without its compression. */
  async plainLayer(name: string, digest: Digest): Promise<void> {
    if (this.#names.has(name)) return;
    this.#names.add(name);
    // The header says the size, which only decompressing tells: it is done twice and kept nowhere.
    let sizeBytes = 0;
    await this.#decompressed(digest, async (chunk) => {
      sizeBytes += chunk.length;
    });
    await this.#send(plainFile(name, sizeBytes));
    await this.#decompressed(digest, this.#send);
    await this.#send(padding(sizeBytes));
  }

  async #decompressed(digest: Digest, take: (chunk: Buffer) => Promise<void>): Promise<void> {
    const ready: Buffer[] = [];
    const decompressor = new Decompressor((chunk) => {
      for (let at = 0; at < chunk.length; at += pieceBytes) ready.push(chunk.subarray(at, at + pieceBytes));
    });
    const drain = async (): Promise<void> => {
      for (let chunk = ready.shift(); chunk; chunk = ready.shift()) await take(chunk);
    };
    try {
      await this.#pieces(digest, async (piece) => {
        await decompressor.write(piece);
        await drain();
      });
      await decompressor.end();
      await drain();
    } finally {
      decompressor.destroy();
    }
  }

  async #pieces(digest: Digest, take: (piece: Buffer) => Promise<void>): Promise<void> {
    const handle = await open(this.#parts.content.pathOf(digest), 'r');
    try {
      for (;;) {
        throwIfAborted(this.#signal, 'saving images');
        const chunk = Buffer.allocUnsafe(pieceBytes);
        const { bytesRead } = await handle.read(chunk, 0, chunk.length);
        if (bytesRead === 0) return;
        await take(chunk.subarray(0, bytesRead));
      }
    } finally {
      await handle.close();
    }
  }
}

function blobName(digest: Digest): string {
  return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;
}

function platformOf(config: Buffer): object {
  const { platform } = parseImageConfig(config, 'image config');
  const { os, architecture, variant }: Platform = platform;
  return { architecture, os, ...(variant !== '' && { variant }) };
}

/** The index comes first, so that a reader knows what follows. */
async function writeLayout(writer: ArchiveStream, saved: readonly Saved[]): Promise<void> {
  await writer.text('oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  const manifests = saved.flatMap(({ outgoing, names }) => {
    const { manifest, config } = outgoing;
    const descriptor = {
      mediaType: manifest.mediaType,
      digest: manifest.digest,
      size: manifest.body.length,
      platform: platformOf(writer.config(config.digest)),
    };
    if (names.length === 0) return [descriptor];
    return names.map((name) => ({
      ...descriptor,
      annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name },
    }));
  });
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
  await writer.text('index.json', JSON.stringify(index));
  for (const { outgoing } of saved) {
    const { manifest, config, layers } = outgoing;
    await writer.text(blobName(manifest.digest), manifest.body);
    await writer.text(blobName(config.digest), writer.config(config.digest));
    for (const { blob } of layers) await writer.blob(blobName(blob.digest), blob.digest, blob.sizeBytes);
  }
}

/** As docker has it: plain layers, named by their content, and configs by their IDs. */
async function writeDockerArchive(writer: ArchiveStream, saved: readonly Saved[]): Promise<void> {
  const entries: object[] = [];
  for (const { outgoing, names } of saved) {
    const { config, layers } = outgoing;
    const body = writer.config(config.digest);
    const { diffIds } = parseImageConfig(body, 'image config');
    const layerNames = diffIds.map((diffId) => `${hexOf(diffId)}.tar`);
    for (const [index, { blob }] of layers.entries())
      await writer.plainLayer(layerNames[index]!, blob.digest);
    const configName = `${hexOf(config.digest)}.json`;
    await writer.text(configName, body);
    entries.push({ Config: configName, RepoTags: names, Layers: layerNames });
  }
  await writer.text('manifest.json', JSON.stringify(entries));
}
