/**
 * One signature over one image: a JSON payload that names the image by digest and by name (the "simple signing" format that
 * cosign and the containers projects share), signed with a key. Pure.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { messageOf } from '#base/errors.ts';
import type { Digest } from '../contract.ts';
import { type ImageReference, isShortName, nameOf, parseReference } from '../reference.ts';
import type { IdentityRule } from './policy.ts';

export interface Signature {
  readonly payload: Buffer;
  /** Base64. */
  readonly signature: string;
}

/** What cosign writes, and the containers projects ask for. */
const payloadType = 'cosign container image signature';
const leastRsaBits = 2048;

/** Parses a public key (PEM). Throws Error for what is none, and for kinds that are not used for signatures of images. */
export function parsePublicKey(pem: string): KeyObject {
  // createPublicKey would take a private key as well, which has no business on a node.
  if (!/-----BEGIN (RSA )?PUBLIC KEY-----/.test(pem)) throw new Error('not a public key in PEM form');
  const key = createPublicKey(pem);
  const type = key.asymmetricKeyType;
  if (type !== 'ec' && type !== 'rsa' && type !== 'ed25519')
    throw new Error(`a key of type ${type}, where ECDSA, RSA or Ed25519 is needed`);
  if (type === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) < leastRsaBits)
    throw new Error(`an RSA key of fewer than ${leastRsaBits} bits`);
  return key;
}

/** Whether `signature` was made over the payload by `key`: ECDSA in DER or RSA PKCS #1 v1.5 over SHA-256, or Ed25519. */
export function isSignedBy({ payload, signature }: Signature, key: KeyObject): boolean {
  const algorithm = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  return verify(algorithm, payload, key, Buffer.from(signature, 'base64'));
}

/**
 * Whether a payload whose signature was verified speaks of this image: undefined if so, else why not. Only for verified
 * payloads: before that nothing in them means anything.
 */
export function findMismatch(
  payload: Buffer,
  digest: Digest,
  reference: ImageReference,
  rule: IdentityRule,
): string | undefined {
  let critical: { type?: unknown; image?: Record<string, unknown>; identity?: Record<string, unknown> };
  try {
    const value = JSON.parse(payload.toString('utf8')) as { critical?: typeof critical };
    critical = value.critical ?? {};
  } catch (error) {
    return `its payload is not JSON: ${messageOf(error)}`;
  }
  if (critical.type !== payloadType) return `its payload is of type ${JSON.stringify(critical.type)}`;
  if (critical.image?.['docker-manifest-digest'] !== digest) return 'it is a signature of another image';
  const name = critical.identity?.['docker-reference'];
  if (typeof name !== 'string') return 'it names no image';
  return agrees(name, reference, rule)
    ? undefined
    : `it is for ${JSON.stringify(name)}, which signedIdentity ${rule.type} does not let stand for this name${
        rule.type === 'matchRepoDigestOrExact' && parsed(name)?.isTagged === false
          ? ' and tag; cosign signs without a tag: use matchRepository'
          : ''
      }`;
}

/** A name inside a signature; a missing tag stays missing. */
function parsed(name: string): { repository: string; whole: string; isTagged: boolean } | undefined {
  try {
    const reference = parseReference(name);
    // A signature speaks for itself: a name that somebody would have to complete is none.
    if (isShortName(name)) return undefined;
    const repository = nameOf(reference);
    const isTagged = reference.digest !== undefined || /:[^/]*$/.test(name.slice(name.indexOf('/')));
    const suffix = reference.digest === undefined ? `:${reference.tag}` : `@${reference.digest}`;
    return { repository, whole: isTagged ? repository + suffix : repository, isTagged };
  } catch {
    return undefined; // no image reference: it agrees with nothing
  }
}

function agrees(signed: string, reference: ImageReference, rule: IdentityRule): boolean {
  const given = parsed(signed);
  if (!given) return false;
  const repository = nameOf(reference);
  const whole =
    reference.digest === undefined ? `${repository}:${reference.tag}` : `${repository}@${reference.digest}`;
  switch (rule.type) {
    case 'matchRepository':
      return given.repository === repository;
    case 'matchExact':
      // By digest there is no tag to compare.
      return reference.tag !== undefined && given.whole === whole;
    case 'matchRepoDigestOrExact':
      return reference.tag === undefined ? given.repository === repository : given.whole === whole;
    case 'exactReference':
      return given.isTagged && given.whole === parsed(rule.name)?.whole;
    case 'exactRepository':
      return given.repository === parsed(rule.name)?.repository;
    case 'remapIdentity': {
      const { prefix, signedPrefix } = rule;
      const isRemapped = repository === prefix || repository.startsWith(`${prefix}/`);
      const expected = isRemapped ? signedPrefix + repository.slice(prefix.length) : repository;
      if (reference.tag === undefined) return given.repository === expected;
      return given.whole === `${expected}:${reference.tag}`;
    }
  }
}
