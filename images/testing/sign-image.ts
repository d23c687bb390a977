/** Signatures of test images, where cosign puts them. */
import { type KeyObject, sign } from 'node:crypto';
import { digestOf } from '../digest.ts';
import { mediaTypes } from '../manifest.ts';
import type { ImageTarget } from './test-image.ts';

export interface TestSignature {
  readonly key: KeyObject;
  /** The name that the signature gives the image. */
  readonly name: string;
  /** The digest that the payload holds; that of the image by default. */
  readonly signedDigest?: string;
  readonly type?: string;
}

/** Puts signatures beside the manifest `digest` of a repository. */
export async function putSignatures(
  target: ImageTarget,
  repository: string,
  digest: string,
  signatures: readonly TestSignature[],
): Promise<void> {
  const config = Buffer.from('{}');
  await target.putBlob(repository, config);
  const layers: object[] = [];
  for (const { key, name, signedDigest = digest, type = 'cosign container image signature' } of signatures) {
    const payload = Buffer.from(
      JSON.stringify({
        critical: {
          identity: { 'docker-reference': name },
          image: { 'docker-manifest-digest': signedDigest },
          type,
        },
        optional: null,
      }),
    );
    await target.putBlob(repository, payload);
    const signature = sign(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', payload, key);
    layers.push({
      mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json',
      digest: digestOf(payload),
      size: payload.length,
      annotations: { 'dev.cosignproject.cosign/signature': signature.toString('base64') },
    });
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: digestOf(config), size: config.length },
    layers,
  };
  const body = Buffer.from(JSON.stringify(manifest));
  for (const reference of [digestOf(body), `${digest.replace(':', '-')}.sig`])
    await target.putManifest(repository, reference, body, mediaTypes.ociManifest);
}
