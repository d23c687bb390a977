/** From a reference to the one manifest and config that fit this machine, all of them verified and stored. */
import { RuntimeError } from '#base/errors.ts';
import { artifactFiles, fileId } from './artifact.ts';
import type { ContentStore } from './content/content-store.ts';
import type { Digest, ImageConfig, ImageId } from './contract.ts';
import type { Lease } from './gc.ts';
import { emptyImageConfig, parseImageConfig } from './image-config.ts';
import {
  chooseEntries,
  type Descriptor,
  formatPlatform,
  type ImageManifest,
  isImageConfig,
  isRunnable,
  type Platform,
  parseManifest,
} from './manifest.ts';
import { formatReference, type ImageReference } from './reference.ts';
import type { RegistryClient } from './registry/client.ts';

export interface ResolvedImage {
  readonly id: ImageId;
  /** What the reference meant: the digest of a manifest or index. */
  readonly topDigest: Digest;
  /** Of the one manifest that was chosen. */
  readonly manifestDigest: Digest;
  readonly config: ImageConfig;
  /** Of an artifact: what it is. Its layers are then files, to be kept under `fileNames`. */
  readonly artifactType: string | undefined;
  readonly fileNames: readonly string[] | undefined;
  readonly layers: readonly Descriptor[];
  /** Digests of the uncompressed layers; of a file, of what it is and is called. */
  readonly diffIds: readonly Digest[];
  /** Bytes of manifest, config and layers. */
  readonly sizeBytes: number;
  /** Index, manifest and config (of an artifact, nobody needs it). */
  readonly blobs: readonly Digest[];
}

const deepestIndex = 4;

export interface ResolveContext {
  readonly client: RegistryClient;
  readonly content: ContentStore;
  readonly lease: Lease;
  readonly platform: Platform;
  readonly signal: AbortSignal;
}

/**
 * Asks the registry what `reference` means now and fetches manifests and config, unless they are here. Errors: Unknown with the
 * registry's words, or naming the platform for which there is no image; Canceled.
 */
export async function resolveImage(
  reference: ImageReference,
  context: ResolveContext,
): Promise<ResolvedImage> {
  const { client, content, lease, signal } = context;
  let top = reference.digest;
  if (top === undefined) {
    const resolved = await client.resolve(reference.tag!, signal);
    top = resolved.digest;
    lease.hold(top);
    if (resolved.manifest) content.add(top, resolved.manifest.body);
  }
  const found = await descend(top, reference, context, [], 0);
  if (!found) {
    const wanted = formatPlatform(context.platform);
    throw new RuntimeError('Unknown', `${formatReference(reference)}: no image for platform ${wanted}`);
  }
  return { ...found, topDigest: top };
}

type Found = Omit<ResolvedImage, 'topDigest'>;

/** The image at `digest`, or the best one of the index there; undefined if it is for another platform. */
async function descend(
  digest: Digest,
  reference: ImageReference,
  context: ResolveContext,
  above: readonly Digest[],
  depth: number,
): Promise<Found | undefined> {
  const subject = `manifest ${digest} of ${formatReference(reference)}`;
  const { body, contentType } = await getManifest(digest, context);
  const manifest = parseManifest(body, contentType, subject);
  const blobs = [...above, digest];
  if (manifest.type === 'image') return inspect(manifest, body.length, reference, context, blobs);
  if (depth >= deepestIndex) throw new RuntimeError('Unknown', `${subject}: indexes nested too deeply`);
  for (const entry of chooseEntries(manifest, context.platform, formatReference(reference))) {
    const found = await descend(entry.digest, reference, context, blobs, depth + 1);
    if (found) return found;
  }
  return undefined;
}

async function getManifest(
  digest: Digest,
  { client, content, lease, signal }: ResolveContext,
): Promise<{ body: Buffer; contentType: string }> {
  lease.hold(digest);
  const stored = content.find(digest);
  if (stored) return { body: stored, contentType: '' };
  const fetched = await client.fetchManifest(digest, signal);
  content.add(digest, fetched.body);
  return fetched;
}

async function inspect(
  manifest: ImageManifest,
  manifestBytes: number,
  reference: ImageReference,
  { client, content, lease, platform, signal }: ResolveContext,
  blobs: readonly Digest[],
): Promise<Found | undefined> {
  const { config, layers } = manifest;
  const name = formatReference(reference);
  if (!isImageConfig(config.mediaType)) return inspectArtifact(manifest, manifestBytes, name, blobs);
  lease.hold(config.digest);
  let raw = content.find(config.digest);
  if (!raw) {
    raw = await client.fetchBlob(config, signal);
    content.add(config.digest, raw);
  }
  const parsed = parseImageConfig(raw, `config ${config.digest} of ${name}`);
  if (!isRunnable(platform, parsed.platform)) return undefined;
  if (parsed.diffIds.length !== layers.length)
    throw new RuntimeError(
      'Unknown',
      `${name}: its manifest has ${layers.length} layers, its config ${parsed.diffIds.length}`,
    );
  return {
    id: config.digest as ImageId,
    manifestDigest: blobs.at(-1)!,
    config: parsed.config,
    artifactType: undefined,
    fileNames: undefined,
    layers,
    diffIds: parsed.diffIds,
    sizeBytes: layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, manifestBytes + config.sizeBytes),
    blobs: [...blobs, config.digest],
  };
}

/**
 * An artifact is known by the digest of its manifest: its config, an empty one more often than not, is shared by artifacts that
 * have nothing in common.
 */
function inspectArtifact(
  manifest: ImageManifest,
  manifestBytes: number,
  name: string,
  blobs: readonly Digest[],
): Found {
  const files = artifactFiles(manifest.layers, `artifact ${name}`);
  const manifestDigest = blobs.at(-1)!;
  return {
    id: manifestDigest as ImageId,
    manifestDigest,
    config: emptyImageConfig,
    artifactType: manifest.artifactType || manifest.config.mediaType,
    fileNames: files.map((file) => file.name),
    layers: files.map(({ blob }) => blob),
    diffIds: files.map(fileId),
    sizeBytes: files.reduce((sum, { blob }) => sum + blob.sizeBytes, manifestBytes),
    blobs,
  };
}
