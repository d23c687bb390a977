/** Which images an archive holds: an OCI image layout (image-spec, image-layout.md) or what `docker save` writes. */
import { readFileSync } from 'node:fs';
import { isRuntimeError, messageOf } from '#base/errors.ts';
import type { Digest } from '../contract.ts';
import { algorithmOf, digestOf, hexOf } from '../digest.ts';
import { parseImageConfig } from '../image-config.ts';
import {
  chooseEntries,
  type Descriptor,
  isImageConfig,
  isRunnable,
  manifestLimitBytes,
  type Platform,
  parseJsonObject,
  parseManifest,
} from '../manifest.ts';
import { formatReference, parseReference } from '../reference.ts';
import { type ReceivedArchive, type ReceivedFile, refusedArchive } from './archive-receiver.ts';

const configLimitBytes = 8 << 20;
const deepestIndex = 4;
const mostImages = 1000;

export interface ArchivedLayer {
  readonly file: ReceivedFile;
  /** Undefined where the archive does not say: the digest is then made here. */
  readonly blob: Descriptor | undefined;
}

export interface ArchivedImage {
  /** Complete references. */
  readonly names: readonly string[];
  readonly config: { readonly digest: Digest; readonly body: Buffer };
  readonly diffIds: readonly Digest[];
  readonly layers: readonly ArchivedLayer[];
  /** Indexes and the manifest, verified; none in what docker save writes. */
  readonly manifests: readonly { readonly digest: Digest; readonly body: Buffer }[];
}

function readSmall(file: ReceivedFile | undefined, name: string, limitBytes = manifestLimitBytes): Buffer {
  if (!file) throw refusedArchive(`it has no ${name}`);
  if (file.sizeBytes > limitBytes) throw refusedArchive(`${name} is larger than ${limitBytes} bytes`);
  return readFileSync(file.path);
}

/** The images of an archive, those of an index for `platform`. Throws InvalidArgument for what is no such archive. */
export function readArchiveIndex(archive: ReceivedArchive, platform: Platform): ArchivedImage[] {
  try {
    const index = archive.find('index.json');
    const images =
      index && archive.find('oci-layout')
        ? readLayout(archive, readSmall(index, 'index.json'), platform)
        : readDockerArchive(archive);
    if (images.length > mostImages) throw refusedArchive(`it has more than ${mostImages} images`);
    return images;
  } catch (error) {
    if (!isRuntimeError(error) || error.kind === 'InvalidArgument') throw error;
    throw refusedArchive(messageOf(error), error);
  }
}

/** A name that an archive gives, complete; undefined for one that names no repository, such as a bare tag. */
function nameOfArchive(text: unknown): string | undefined {
  if (typeof text !== 'string' || !/[/:]/.test(text)) return undefined;
  return formatReference(parseReference(text));
}

function readLayout(archive: ReceivedArchive, body: Buffer, platform: Platform): ArchivedImage[] {
  const index = parseManifest(body, '', 'index.json');
  if (index.type !== 'index') throw refusedArchive('its index.json is no index');
  const images = new Map<string, ArchivedImage>();
  for (const entry of index.entries) {
    const annotations = entry.annotations ?? {};
    const name = nameOfArchive(
      annotations['io.containerd.image.name'] ?? annotations['org.opencontainers.image.ref.name'],
    );
    const image = readEntry(archive, entry, platform, [], 0);
    // An index at the top may list an image once for every platform.
    if (!image) continue;
    const known = images.get(image.config.digest);
    const names = [...new Set([...(known?.names ?? []), ...(name === undefined ? [] : [name])])];
    images.set(image.config.digest, { ...image, names });
  }
  if (images.size === 0) throw refusedArchive('it has no image for this platform');
  return [...images.values()];
}

function blobFile(archive: ReceivedArchive, digest: Digest): ReceivedFile | undefined {
  return archive.find(`blobs/${algorithmOf(digest)}/${hexOf(digest)}`);
}

function readVerified(archive: ReceivedArchive, digest: Digest, limitBytes: number): Buffer {
  const body = readSmall(blobFile(archive, digest), `blob ${digest}`, limitBytes);
  const actual = digestOf(body, algorithmOf(digest));
  if (actual !== digest) throw refusedArchive(`blob ${digest} has digest ${actual}`);
  return body;
}

function readEntry(
  archive: ReceivedArchive,
  { digest, mediaType }: Descriptor,
  platform: Platform,
  above: ArchivedImage['manifests'],
  depth: number,
): ArchivedImage | undefined {
  const body = readVerified(archive, digest, manifestLimitBytes);
  const manifest = parseManifest(body, mediaType, `manifest ${digest}`);
  const manifests = [...above, { digest, body }];
  if (manifest.type === 'index') {
    if (depth >= deepestIndex) throw refusedArchive('its indexes are nested too deeply');
    for (const entry of chooseEntries(manifest, platform, `index ${digest}`)) {
      // An archive may hold a part of what its index names.
      if (!blobFile(archive, entry.digest)) continue;
      const image = readEntry(archive, entry, platform, manifests, depth + 1);
      if (image) return image;
    }
    return undefined;
  }
  const { config, layers } = manifest;
  if (!isImageConfig(config.mediaType))
    throw refusedArchive(`manifest ${digest} is an artifact (${config.mediaType}) and no container image`);
  const raw = readVerified(archive, config.digest, configLimitBytes);
  const parsed = parseImageConfig(raw, `config ${config.digest}`);
  if (!isRunnable(platform, parsed.platform)) return undefined;
  if (parsed.diffIds.length !== layers.length)
    throw refusedArchive(
      `manifest ${digest} has ${layers.length} layers, its config ${parsed.diffIds.length}`,
    );
  return {
    names: [],
    config: { digest: config.digest, body: raw },
    diffIds: parsed.diffIds,
    manifests,
    layers: layers.map((blob) => {
      const file = blobFile(archive, blob.digest);
      if (!file) throw refusedArchive(`it has no layer ${blob.digest}`);
      return { file, blob };
    }),
  };
}

function readDockerArchive(archive: ReceivedArchive): ArchivedImage[] {
  const file = archive.find('manifest.json');
  if (!file)
    throw refusedArchive('it is neither an OCI layout (index.json) nor of docker save (manifest.json)');
  let list: unknown;
  try {
    list = JSON.parse(readSmall(file, 'manifest.json').toString('utf8'));
  } catch (cause) {
    throw refusedArchive('its manifest.json is not JSON', cause);
  }
  if (!Array.isArray(list) || list.length === 0) throw refusedArchive('its manifest.json lists no image');
  return list.map((entry: unknown) => readDockerEntry(archive, Object(entry) as Record<string, unknown>));
}

function readDockerEntry(archive: ReceivedArchive, entry: Record<string, unknown>): ArchivedImage {
  const strings = (value: unknown): string[] =>
    Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
  const configName = String(entry.Config);
  const body = readSmall(archive.find(configName), `config ${configName}`, configLimitBytes);
  parseJsonObject(body, configName);
  const { diffIds } = parseImageConfig(body, configName);
  const layerNames = strings(entry.Layers);
  if (layerNames.length !== diffIds.length)
    throw refusedArchive(`${configName} has ${diffIds.length} layers, manifest.json ${layerNames.length}`);
  return {
    names: strings(entry.RepoTags).flatMap((text) => nameOfArchive(text) ?? []),
    config: { digest: digestOf(body), body },
    diffIds,
    manifests: [],
    layers: layerNames.map((name) => {
      const file = archive.find(name);
      if (!file) throw refusedArchive(`it has no layer ${JSON.stringify(name)}`);
      return { file, blob: undefined };
    }),
  };
}
