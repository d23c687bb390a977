/**
 * Image references as people write them, parsed once and made whole: `busybox` is `docker.io/library/busybox:latest`
 * (the rules of the distribution project's reference grammar, which every registry client shares).
 */
import { RuntimeError } from '#base/errors.ts';
import type { Digest } from './contract.ts';
import { isDigest } from './digest.ts';

export interface ImageReference {
  /** Registry host with its port, `docker.io` for Docker Hub. */
  readonly domain: string;
  /** Repository within the registry. */
  readonly path: string;
  /** Undefined exactly if `digest` is set: a reference with both is fetched, and named, by its digest. */
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

const domainPattern =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$/;
const componentPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const tagPattern = /^\w[\w.-]{0,127}$/;
const longestName = 255;

function refuse(text: string, why: string): never {
  throw new RuntimeError('InvalidArgument', `image reference ${JSON.stringify(text.slice(0, 300))}: ${why}`);
}

/** Splits off the registry: the first component is one if it could be a host and nothing else. */
function splitDomain(name: string): [domain: string, path: string] {
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const isHost =
    first !== '' && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  const domain = isHost ? first : 'docker.io';
  const path = isHost ? name.slice(slash + 1) : name;
  return [domain === 'index.docker.io' ? 'docker.io' : domain, path];
}

/** Whether a reference leaves the registry to whoever completes it. */
export function isShortName(text: string): boolean {
  const name = text.split('@', 1)[0]!;
  const [domain, path] = splitDomain(name);
  return domain === 'docker.io' && path === name;
}

/** Parses and completes a reference. Throws InvalidArgument for what is none; 64 hexadecimal digits are an ID, not a name. */
export function parseReference(text: string): ImageReference {
  if (text === '') refuse(text, 'it is empty');
  if (/^[0-9a-f]{64}$/.test(text)) refuse(text, 'this is an image ID, not a name');
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isDigest(digest)) refuse(text, 'no sha256 or sha512 digest follows the @');
  const beforeDigest = at < 0 ? text : text.slice(0, at);
  const colon = beforeDigest.lastIndexOf(':');
  const hasTag = colon > beforeDigest.lastIndexOf('/');
  const tag = hasTag ? beforeDigest.slice(colon + 1) : undefined;
  if (tag !== undefined && !tagPattern.test(tag)) refuse(text, `${JSON.stringify(tag)} is no tag`);
  let [domain, path] = splitDomain(hasTag ? beforeDigest.slice(0, colon) : beforeDigest);
  if (!domainPattern.test(domain)) refuse(text, `${JSON.stringify(domain)} is no registry host`);
  if (path !== path.toLowerCase()) refuse(text, 'the repository must be lower case');
  for (const component of path.split('/'))
    if (!componentPattern.test(component))
      refuse(text, `${JSON.stringify(component)} cannot be part of a repository name`);
  if (domain === 'docker.io' && !path.includes('/')) path = `library/${path}`;
  if (domain.length + 1 + path.length > longestName)
    refuse(text, `the name is longer than ${longestName} characters`);
  if (digest !== undefined) return { domain, path, tag: undefined, digest: digest as Digest };
  return { domain, path, tag: tag ?? 'latest', digest: undefined };
}

/** The name without tag and digest: `docker.io/library/busybox`. */
export function nameOf(reference: ImageReference): string {
  return `${reference.domain}/${reference.path}`;
}

/** The complete reference; parsing it gives an equal one. */
export function formatReference(reference: ImageReference): string {
  const name = nameOf(reference);
  return reference.digest === undefined ? `${name}:${reference.tag}` : `${name}@${reference.digest}`;
}
