/**
 * Manifests and indexes, OCI and Docker schema 2 (OCI image-spec, manifest.md and image-index.md), and the choice of a
 * platform. Pure: bytes in, values out. What a registry sent is not trusted: shapes and sizes are checked here, digests by
 * the caller.
 */
import { RuntimeError } from '#base/errors.ts';
import type { Digest } from './contract.ts';
import { isDigest } from './digest.ts';

export const mediaTypes = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
} as const;

/** What a request for a manifest accepts. */
export const acceptedManifests = [
  mediaTypes.ociIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerList,
  mediaTypes.dockerManifest,
  '*/*',
].join(', ');

/** Manifests larger than this are refused, as every registry and client does. */
export const manifestLimitBytes = 4 << 20;
const mostLayers = 1000;

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Other places to fetch a foreign layer from. */
  readonly urls: readonly string[];
  /** Left out where there are none. */
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string;
}

export interface IndexEntry extends Descriptor {
  /** Undefined where the index does not say. */
  readonly platform: Platform | undefined;
}

export interface ImageManifest {
  readonly type: 'image';
  readonly mediaType: string;
  /** What an artifact says it is; '' where it does not. */
  readonly artifactType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export interface ImageIndex {
  readonly type: 'index';
  readonly mediaType: string;
  readonly entries: readonly IndexEntry[];
}

type Json = Record<string, unknown>;

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function malformed(subject: string, why: string): RuntimeError {
  return new RuntimeError('Unknown', `${subject}: ${why}`);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function parseDescriptor(value: unknown, subject: string): Descriptor {
  if (!isObject(value)) throw malformed(subject, 'a descriptor is missing');
  const digest = text(value.digest);
  if (!isDigest(digest)) throw malformed(subject, `${JSON.stringify(digest)} is no sha256 or sha512 digest`);
  const sizeBytes = value.size;
  if (typeof sizeBytes !== 'number' || !Number.isSafeInteger(sizeBytes) || sizeBytes < 0)
    throw malformed(subject, `blob ${digest} has no proper size`);
  const urls = Array.isArray(value.urls) ? value.urls.filter((url) => typeof url === 'string') : [];
  const annotations = isObject(value.annotations)
    ? Object.entries(value.annotations).filter(([, content]) => typeof content === 'string')
    : [];
  return {
    mediaType: text(value.mediaType),
    digest,
    sizeBytes,
    urls,
    ...(annotations.length > 0 && { annotations: Object.fromEntries(annotations) as Record<string, string> }),
  };
}

function parsePlatform(value: unknown): Platform | undefined {
  if (!isObject(value)) return undefined;
  return normalizePlatform({
    os: text(value.os),
    architecture: text(value.architecture),
    variant: text(value.variant),
  });
}

/** Parses JSON from a registry. Throws Unknown, naming `subject`, for anything but an object. */
export function parseJsonObject(body: Buffer | string, subject: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new RuntimeError('Unknown', `${subject}: not JSON`, { cause });
  }
  if (!isObject(value)) throw malformed(subject, 'not a JSON object');
  return value;
}

/**
 * Parses a manifest or an index. `contentType` is the reply's header, believed only where the body does not say what it is.
 * Throws Unknown for what is neither, and for Docker schema 1, which has no config and is not supported.
 */
export function parseManifest(
  body: Buffer,
  contentType: string,
  subject: string,
): ImageManifest | ImageIndex {
  const value = parseJsonObject(body, subject);
  const declared = text(value.mediaType) || (contentType.split(';')[0] ?? '').trim();
  if (value.schemaVersion === 1 || (/manifest\.v1\+(json|prettyjws)$/.test(declared) && 'fsLayers' in value))
    throw malformed(
      subject,
      'Docker schema 1 manifests are not supported: push the image again with a current tool',
    );
  if (Array.isArray(value.manifests) && !Array.isArray(value.layers)) {
    const entries = value.manifests.map((entry: unknown) => ({
      ...parseDescriptor(entry, subject),
      platform: parsePlatform((entry as Json).platform),
    }));
    const mediaType = declared === mediaTypes.dockerList ? declared : mediaTypes.ociIndex;
    return { type: 'index', mediaType, entries };
  }
  if (!isObject(value.config))
    throw malformed(subject, `neither an image manifest nor an index (${declared || 'no media type'})`);
  const layers = Array.isArray(value.layers) ? value.layers : [];
  if (layers.length > mostLayers)
    throw malformed(subject, `${layers.length} layers, more than the ${mostLayers} supported`);
  return {
    type: 'image',
    mediaType: declared === mediaTypes.dockerManifest ? declared : mediaTypes.ociManifest,
    artifactType: text(value.artifactType),
    config: parseDescriptor(value.config, subject),
    layers: layers.map((layer) => parseDescriptor(layer, subject)),
  };
}

/** Whether a config of this media type belongs to a runnable image (and not to some other artifact). */
export function isImageConfig(mediaType: string): boolean {
  return mediaType === mediaTypes.ociConfig || mediaType === mediaTypes.dockerConfig || mediaType === '';
}

const architectureNames: Readonly<Record<string, string>> = {
  x64: 'amd64',
  x86_64: 'amd64',
  'x86-64': 'amd64',
  aarch64: 'arm64',
  ia32: '386',
  i386: '386',
  armhf: 'arm',
  armel: 'arm',
};

/** One spelling per platform: Go's architecture names, and the variants that say nothing left out (arm64 is v8, amd64 is v1). */
export function normalizePlatform(platform: Platform): Platform {
  const os = platform.os.toLowerCase();
  const architecture =
    architectureNames[platform.architecture.toLowerCase()] ?? platform.architecture.toLowerCase();
  let variant = platform.variant.toLowerCase().replace(/^(\d)/, 'v$1');
  if (architecture === 'arm64' && variant === 'v8') variant = '';
  if (architecture === 'amd64' && variant === 'v1') variant = '';
  if (architecture === 'arm' && variant === '') variant = 'v7';
  return { os, architecture, variant };
}

/** The platform of this process, with Node's name of its architecture. */
export function hostPlatform(architecture: string): Platform {
  return normalizePlatform({ os: 'linux', architecture, variant: '' });
}

/** How well `offered` runs on `wanted`: 0 is exact, higher is worse, undefined is not at all. */
function mismatch(wanted: Platform, offered: Platform): number | undefined {
  if (offered.os !== wanted.os || offered.architecture !== wanted.architecture) return undefined;
  if (offered.variant === wanted.variant) return 0;
  const level = (variant: string) =>
    Number(/^v(\d+)/.exec(variant)?.[1] ?? (wanted.architecture === 'arm64' ? 8 : 1));
  const distance = level(wanted.variant) - level(offered.variant);
  // A lower level of the instruction set runs on a higher one, not the other way round.
  return distance >= 0 ? distance : undefined;
}

/** Whether an image whose config names `offered` can run on `wanted`; an empty name is no statement. */
export function isRunnable(wanted: Platform, offered: Platform): boolean {
  return (
    offered.architecture === '' ||
    offered.os === '' ||
    mismatch(wanted, normalizePlatform(offered)) !== undefined
  );
}

/**
 * The entries of an index worth trying, best first: those whose platform fits, then those that name none (their image
 * config will tell). Attestations (`unknown/unknown`) are never chosen. Throws Unknown, naming the platform, when nothing is left.
 */
export function chooseEntries(index: ImageIndex, wanted: Platform, subject: string): IndexEntry[] {
  const fitting: { entry: IndexEntry; distance: number }[] = [];
  for (const entry of index.entries) {
    const distance = entry.platform && entry.platform.os !== '' ? mismatch(wanted, entry.platform) : Infinity;
    if (distance !== undefined) fitting.push({ entry, distance });
  }
  // A stable sort: among equals the first in the index wins.
  fitting.sort((a, b) => (a.distance === b.distance ? 0 : a.distance - b.distance));
  if (fitting.length > 0) return fitting.map(({ entry }) => entry);
  const offered = index.entries.flatMap(({ platform }) => (platform ? [formatPlatform(platform)] : []));
  throw new RuntimeError(
    'Unknown',
    `${subject}: no image for platform ${formatPlatform(wanted)}, only for ${[...new Set(offered)].join(', ') || 'none'}`,
  );
}

/** Reads `os/architecture` or `os/architecture/variant`. Throws InvalidArgument. */
export function parsePlatformName(text: string): Platform {
  const parts = text.split('/');
  const [os, architecture, variant = ''] = parts;
  if (parts.length > 3 || !os || !architecture || !/^[\w./-]+$/.test(text))
    throw new RuntimeError(
      'InvalidArgument',
      `platform ${JSON.stringify(text.slice(0, 100))}: it is to be os/architecture or os/architecture/variant, such as linux/arm64`,
    );
  return normalizePlatform({ os, architecture, variant });
}

/** `linux/arm/v7`. */
export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant].filter((part) => part !== '').join('/');
}
