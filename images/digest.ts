/** Digests: content addresses of the form `algorithm:hex` (OCI image-spec, descriptor.md, Digests). */
import { createHash, type Hash } from 'node:crypto';
import { RuntimeError } from '#base/errors.ts';
import type { ChainId, Digest } from './contract.ts';

const hexLength = { sha256: 64, sha512: 128 } as const;
export type DigestAlgorithm = keyof typeof hexLength;

/** Whether `text` is a whole digest of an algorithm that can be verified here. */
export function isDigest(text: string): text is Digest {
  const match = /^(sha256|sha512):([0-9a-f]+)$/.exec(text);
  return match !== null && match[2]!.length === hexLength[match[1] as DigestAlgorithm];
}

/** Parses a digest that came from outside. Throws InvalidArgument, naming `subject`. */
export function parseDigest(text: unknown, subject: string): Digest {
  if (typeof text === 'string' && isDigest(text)) return text;
  const shown = typeof text === 'string' ? JSON.stringify(text.slice(0, 200)) : typeof text;
  throw new RuntimeError('InvalidArgument', `${subject}: ${shown} is no sha256 or sha512 digest`);
}

/** The algorithm of a digest. */
export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

/** The hexadecimal part of a digest. */
export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

/** The digest of `content`. */
export function digestOf(content: string | Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(content).digest('hex')}` as Digest;
}

/** A running digest: `update` with every byte in order, then `digest` once. */
export class Digester {
  readonly #algorithm: DigestAlgorithm;
  readonly #hash: Hash;

  constructor(algorithm: DigestAlgorithm) {
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
  }

  digest(): Digest {
    return `${this.#algorithm}:${this.#hash.digest('hex')}` as Digest;
  }
}

/**
 * The chain IDs of the stacks that begin with the first, the first two, ... of `diffIds` (OCI image-spec, config.md,
 * Layer ChainID): equal stacks have equal chain IDs, whatever images they are part of.
 */
export function chainIdsOf(diffIds: readonly Digest[]): ChainId[] {
  const chain: ChainId[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push((below === undefined ? diffId : digestOf(`${below} ${diffId}`)) as ChainId);
  }
  return chain;
}
