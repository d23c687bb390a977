/**
 * Holds images against the signature policy. Signatures are where cosign puts them: beside the image, in an artifact whose
 * tag is made of the image's digest (cosign, SIGNATURE_SPEC.md); they come from the same hosts as the image.
 */
import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { messageOf } from '#base/errors.ts';
import type { Digest } from '../contract.ts';
import { algorithmOf, hexOf } from '../digest.ts';
import { parseManifest } from '../manifest.ts';
import { formatReference, type ImageReference } from '../reference.ts';
import type { RegistryClient } from '../registry/client.ts';
import { type KeySource, type Requirement, validationError } from './policy.ts';
import { findMismatch, isSignedBy, parsePublicKey, type Signature } from './simple-signing.ts';

const payloadMediaType = 'application/vnd.dev.cosign.simplesigning.v1+json';
const signatureAnnotation = 'dev.cosignproject.cosign/signature';
/** An attacker may put any number beside an image. */
const mostSignatures = 32;
const largestPayloadBytes = 1 << 20;

/** Throws SignatureValidationFailed (kind Unknown) if no image of this name is wanted, before anybody is asked for it. */
export function checkNotRejected(requirements: readonly Requirement[], reference: ImageReference): void {
  if (requirements.some(({ type }) => type === 'reject'))
    throw validationError(`image ${formatReference(reference)}: the signature policy rejects it`);
}

/**
 * Verifies that the image fulfils every requirement. `digests` are those under which it may be signed: of what the reference
 * named, and of the manifest chosen from it (an index vouches for its manifests). Throws Unknown beginning with
 * SignatureValidationFailed, or the error of a registry that could not be asked; Canceled.
 */
export async function verifySignatures(
  requirements: readonly Requirement[],
  image: { readonly reference: ImageReference; readonly digests: readonly Digest[] },
  client: RegistryClient,
  signal: AbortSignal,
): Promise<void> {
  checkNotRejected(requirements, image.reference);
  const signed = requirements.filter((requirement) => requirement.type === 'sigstoreSigned');
  if (signed.length === 0) return;
  const name = formatReference(image.reference);
  const found: { digest: Digest; signatures: Signature[] }[] = [];
  for (const digest of new Set(image.digests))
    found.push({ digest, signatures: await fetchSignatures(client, digest, signal) });
  for (const { keys, identity } of signed) {
    const publicKeys = keys.map((key) => loadKey(key));
    const reasons = new Set<string>();
    let isFulfilled = false;
    for (const { digest, signatures } of found)
      for (const signature of signatures) {
        const isAuthentic = publicKeys.some((key) => isSignedBy(signature, key));
        const why = isAuthentic
          ? findMismatch(signature.payload, digest, image.reference, identity)
          : 'it is by no key of the policy';
        if (why === undefined) isFulfilled = true;
        else reasons.add(why);
      }
    if (isFulfilled) continue;
    const whys = [...reasons].map((why) => `a signature was found, but ${why}`);
    throw validationError(
      `image ${name}: ${whys.join('; ') || `no signature for ${image.digests.join(' or ')}`}`,
    );
  }
}

function loadKey(source: KeySource): KeyObject {
  const where = 'path' in source ? `key ${source.path}` : 'keyData';
  try {
    return parsePublicKey('path' in source ? readFileSync(source.path, 'utf8') : source.pem);
  } catch (cause) {
    throw validationError(`signature policy, ${where}: ${messageOf(cause)}`, cause);
  }
}

/** What claims to be a signature of the manifest `digest`; nothing of it is verified yet but the digests of the blobs. */
async function fetchSignatures(
  client: RegistryClient,
  digest: Digest,
  signal: AbortSignal,
): Promise<Signature[]> {
  const tag = `${algorithmOf(digest)}-${hexOf(digest)}.sig`;
  const fetched = await client.findByTag(tag, signal);
  if (!fetched) return [];
  const subject = `signatures ${tag}`;
  const manifest = parseManifest(fetched.body, fetched.contentType, subject);
  if (manifest.type !== 'image') return [];
  const candidates = manifest.layers.filter(
    ({ mediaType, sizeBytes, annotations }) =>
      mediaType === payloadMediaType &&
      sizeBytes <= largestPayloadBytes &&
      annotations?.[signatureAnnotation] !== undefined,
  );
  const signatures: Signature[] = [];
  for (const layer of candidates.slice(0, mostSignatures)) {
    const payload = await client.fetchBlob(layer, signal);
    signatures.push({ payload, signature: layer.annotations![signatureAnnotation]! });
  }
  return signatures;
}
