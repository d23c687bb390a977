/** Small images for tests, as blobs and manifests. */
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { digestOf } from '../digest.ts';
import { mediaTypes } from '../manifest.ts';
import { type TestEntry, tar } from './tar-writer.ts';

export type Compression = 'gzip' | 'zstd' | 'none';

export interface TestLayer {
  readonly blob: Buffer;
  readonly diffId: string;
  readonly mediaType: string;
}

/** A layer of these entries. */
export function testLayer(entries: readonly TestEntry[], compression: Compression = 'gzip'): TestLayer {
  return layerOf(tar(entries), compression);
}

/** A layer of a whole archive. */
export function layerOf(archive: Buffer, compression: Compression = 'gzip'): TestLayer {
  const compress = { gzip: gzipSync, zstd: zstdCompressSync, none: (content: Buffer) => content }[
    compression
  ];
  const suffix = compression === 'none' ? '' : `+${compression}`;
  return {
    blob: compress(archive),
    diffId: digestOf(archive),
    mediaType: `application/vnd.oci.image.layer.v1.tar${suffix}`,
  };
}

export interface TestImage {
  readonly config: Buffer;
  readonly layers: readonly TestLayer[];
  readonly manifest: Buffer;
  readonly manifestDigest: string;
  readonly id: string;
}

export interface TestImageOptions {
  /** Merged into the image config. */
  readonly config?: object;
  readonly diffIds?: readonly string[];
  readonly isDocker?: boolean;
}

/** An image of these layers, for this machine unless the config says otherwise. */
export function testImage(layers: readonly TestLayer[], options: TestImageOptions = {}): TestImage {
  const config = Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      config: { Env: ['PATH=/bin'], Cmd: ['sh'], User: '1003:g', WorkingDir: '/w' },
      rootfs: { type: 'layers', diff_ids: options.diffIds ?? layers.map(({ diffId }) => diffId) },
      ...options.config,
    }),
  );
  const descriptor = (mediaType: string, content: Buffer) => ({
    mediaType,
    digest: digestOf(content),
    size: content.length,
  });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: options.isDocker ? mediaTypes.dockerManifest : mediaTypes.ociManifest,
      config: descriptor(options.isDocker ? mediaTypes.dockerConfig : mediaTypes.ociConfig, config),
      layers: layers.map(({ mediaType, blob }) => descriptor(mediaType, blob)),
    }),
  );
  return { config, layers, manifest, manifestDigest: digestOf(manifest), id: digestOf(config) };
}

/** An index of images; a platform may be left out or made up. */
export function testIndex(entries: readonly { image: TestImage; platform?: object }[]): {
  body: Buffer;
  digest: string;
} {
  const body = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: entries.map(({ image, platform }) => ({
        mediaType: mediaTypes.ociManifest,
        digest: image.manifestDigest,
        size: image.manifest.length,
        ...(platform && { platform }),
      })),
    }),
  );
  return { body, digest: digestOf(body) };
}

/** Where images can be put: the scripted registry, or a real one. */
export interface ImageTarget {
  putBlob(name: string, content: Buffer): Promise<void> | void;
  putManifest(name: string, reference: string, body: Buffer, mediaType: string): Promise<void> | void;
}

/** Puts an image into a repository under its digest and `tags`. */
export async function publish(
  target: ImageTarget,
  name: string,
  image: TestImage,
  tags: readonly string[],
): Promise<void> {
  for (const content of [image.config, ...image.layers.map(({ blob }) => blob)])
    await target.putBlob(name, content);
  const { mediaType } = JSON.parse(image.manifest.toString()) as { mediaType: string };
  for (const reference of [image.manifestDigest, ...tags])
    await target.putManifest(name, reference, image.manifest, mediaType);
}
