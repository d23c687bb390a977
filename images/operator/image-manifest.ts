/** The manifest of an image that is here, and new ones. */
import { isRuntimeError, RuntimeError } from '#base/errors.ts';
import type { ContentStore } from '../content/content-store.ts';
import type { Digest, Image, ImageId } from '../contract.ts';
import { digestOf } from '../digest.ts';
import type { ImageRecord } from '../image-records.ts';
import type { ImageStore } from '../image-store.ts';
import {
  type Descriptor,
  type ImageManifest,
  manifestLimitBytes,
  mediaTypes,
  parseManifest,
} from '../manifest.ts';

export interface KnownManifest {
  readonly digest: Digest;
  readonly body: Buffer;
  readonly manifest: ImageManifest;
}

/** The image's manifest; of several, one whose layers are kept. undefined if there is none, which no image should be without. */
export function findManifest(record: ImageRecord, content: ContentStore): KnownManifest | undefined {
  const found: KnownManifest[] = [];
  for (const digest of record.blobs) {
    const size = content.sizeOf(digest);
    if (size === undefined || size > manifestLimitBytes || (digest as string) === record.id) continue;
    const body = content.find(digest);
    // Layers are among the blobs too: only JSON is looked at.
    if (body?.[0] !== 0x7b) continue;
    try {
      const manifest = parseManifest(body, '', `manifest ${digest}`);
      const isOurs = manifest.type === 'image' && (manifest.config.digest as string) === record.id;
      if (isOurs) found.push({ digest, body, manifest });
    } catch (error) {
      if (!isRuntimeError(error)) throw error; // a layer that looks like JSON is no manifest
    }
  }
  const isKept = ({ manifest }: KnownManifest): boolean =>
    manifest.layers.every(({ digest }) => content.has(digest));
  return found.find(isKept) ?? found[0];
}

/** The image that `reference` finds. Throws NotFound, InvalidArgument. */
export function getImage(store: ImageStore, reference: string): Image {
  const image = store.find(reference);
  if (image) return image;
  throw new RuntimeError('NotFound', `there is no image ${JSON.stringify(reference.slice(0, 300))} here`);
}

/** Throws FailedPrecondition for an artifact, which has no layers in the sense of an image. */
export function refuseArtifact(image: Image, attempted: string): void {
  if (image.artifactType !== undefined)
    throw new RuntimeError(
      'FailedPrecondition',
      `${attempted}: ${image.id} is an OCI artifact (${image.artifactType}) and no container image`,
    );
}

/** The config of an image as it is stored. Throws DataLoss. */
export function getConfig(content: ContentStore, id: ImageId): Buffer {
  const config = content.find(id);
  if (!config) throw new RuntimeError('DataLoss', `image ${id}: its config is damaged; pull it again`);
  return config;
}

export interface NewManifest {
  readonly body: Buffer;
  readonly digest: Digest;
  readonly mediaType: string;
}

function described({ mediaType, digest, sizeBytes }: Descriptor): object {
  return { mediaType, size: sizeBytes, digest };
}

/** A manifest of these blobs; the same blobs give the same bytes. */
export function makeManifest(
  config: { readonly digest: Digest; readonly sizeBytes: number },
  layers: readonly Descriptor[],
  style: 'oci' | 'docker' = 'oci',
): NewManifest {
  const isDocker = style === 'docker';
  const mediaType = isDocker ? mediaTypes.dockerManifest : mediaTypes.ociManifest;
  const body = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType,
      config: described({
        mediaType: isDocker ? mediaTypes.dockerConfig : mediaTypes.ociConfig,
        ...config,
        urls: [],
      }),
      layers: layers.map(described),
    }),
  );
  return { body, digest: digestOf(body), mediaType };
}

export const layerTypes = {
  ociGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociPlain: 'application/vnd.oci.image.layer.v1.tar',
  dockerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
} as const;
