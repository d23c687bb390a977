/** OCI artifacts for tests, as ORAS and Helm make them. */
import { digestOf } from '../digest.ts';
import { mediaTypes } from '../manifest.ts';
import type { ImageTarget } from './test-image.ts';

export interface TestFile {
  readonly content: Buffer;
  readonly title?: string;
  readonly mediaType?: string;
}

/** Puts an artifact into a repository under its digest and `tag`; returns its manifest's digest and size. */
export async function publishArtifact(
  target: ImageTarget,
  name: string,
  tag: string,
  files: readonly TestFile[],
  type: { readonly config?: string; readonly artifactType?: string },
): Promise<{ digest: string; sizeBytes: number }> {
  const config = Buffer.from('{}');
  for (const content of [config, ...files.map((file) => file.content)]) await target.putBlob(name, content);
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    ...(type.artifactType !== undefined && { artifactType: type.artifactType }),
    config: {
      mediaType: type.config ?? 'application/vnd.oci.empty.v1+json',
      digest: digestOf(config),
      size: config.length,
    },
    layers: files.map(({ content, title, mediaType }) => ({
      mediaType: mediaType ?? 'application/octet-stream',
      digest: digestOf(content),
      size: content.length,
      ...(title !== undefined && { annotations: { 'org.opencontainers.image.title': title } }),
    })),
  };
  const body = Buffer.from(JSON.stringify(manifest));
  for (const reference of [digestOf(body), tag])
    await target.putManifest(name, reference, body, mediaTypes.ociManifest);
  const sizeBytes = files.reduce((sum, { content }) => sum + content.length, body.length);
  return { digest: digestOf(body), sizeBytes };
}
