/**
 * OCI artifacts that are no container images: any files, with a media type that says whose they are (image-spec, manifest.md,
 * Guidelines for Artifact Usage). Nothing of one can run; it can be mounted as an image volume, where each of its blobs is
 * a file, named as its title says. Every file is a layer of its own, so that the machinery of images serves artifacts too.
 */
import { RuntimeError } from '#base/errors.ts';
import type { Digest } from './contract.ts';
import { digestOf } from './digest.ts';
import type { Descriptor } from './manifest.ts';

const titleAnnotation = 'org.opencontainers.image.title';
/** Stands for "no content": an artifact that is nothing but its annotations. */
const emptyMediaType = 'application/vnd.oci.empty.v1+json';
const longestComponent = 255;
const longestName = 1024;

export interface ArtifactFile {
  readonly blob: Descriptor;
  /** Relative path below the mount, without `.` or `..`. */
  readonly name: string;
}

/** The files of an artifact, in order. Throws Unknown, naming `subject`, for a title that is no path inside the mount. */
export function artifactFiles(layers: readonly Descriptor[], subject: string): ArtifactFile[] {
  return layers
    .filter(({ mediaType }) => mediaType !== emptyMediaType)
    .map((blob) => ({
      blob,
      // As the digest is written in file names elsewhere: a colon ends a path in many programs' lists.
      name: fileName(blob.annotations?.[titleAnnotation] ?? '', subject) ?? blob.digest.replace(':', '-'),
    }));
}

function fileName(title: string, subject: string): string | undefined {
  if (title === '') return undefined;
  const components = title.split('/').filter((component) => component !== '.');
  const isInside = components.every(
    (component) => component !== '' && component !== '..' && Buffer.byteLength(component) <= longestComponent,
  );
  if (!isInside || components.length === 0 || title.length > longestName || /[\x00-\x1f]/.test(title))
    throw new RuntimeError(
      'Unknown',
      `${subject}: ${JSON.stringify(title.slice(0, 200))} cannot be a file's name`,
    );
  return components.join('/');
}

/**
 * What stands for the digest of an uncompressed layer in the chain ID of a stack of files: a name and a digest make a file,
 * and the words keep it from ever being the digest of a layer.
 */
export function fileId({ blob, name }: ArtifactFile): Digest {
  return digestOf(JSON.stringify(['berth artifact file', name, blob.digest]));
}
