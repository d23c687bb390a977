/**
 * The signature policy of the containers projects (containers-policy.json(5)), for images from registries (`transports.docker`).
 * Whatever is not understood is refused rather than passed over: a policy that is half read lets in what it should keep out.
 */
import { readFileSync } from 'node:fs';
import { errnoOf, messageOf, RuntimeError } from '#base/errors.ts';
import { formatReference, type ImageReference, nameOf } from '../reference.ts';

/** The kubelet knows this prefix and reports the reason SignatureValidationFailed (CRI api, pkg/errors). */
export const signatureValidationFailed = 'SignatureValidationFailed';

/** How the name inside a signature must agree with the name of the image. */
export type IdentityRule =
  | { readonly type: 'matchExact' | 'matchRepoDigestOrExact' | 'matchRepository' }
  | { readonly type: 'exactReference' | 'exactRepository'; readonly name: string }
  | { readonly type: 'remapIdentity'; readonly prefix: string; readonly signedPrefix: string };

/** A public key in PEM form: in a file, or the text itself. */
export type KeySource = { readonly path: string } | { readonly pem: string };

export type Requirement =
  | { readonly type: 'insecureAcceptAnything' }
  | { readonly type: 'reject' }
  /** A signature by any one of the keys. */
  | { readonly type: 'sigstoreSigned'; readonly keys: readonly KeySource[]; readonly identity: IdentityRule };

type Json = Record<string, unknown>;

/** An error that the kubelet reports as SignatureValidationFailed. */
export function validationError(why: string, cause?: unknown): RuntimeError {
  return new RuntimeError('Unknown', `${signatureValidationFailed}: ${why}`, { cause });
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export interface PolicyLocation {
  /** '' for no policy: everything is accepted. */
  readonly path: string;
  /** Whether a missing file means that everything is accepted; else it is an error. */
  readonly mayBeMissing: boolean;
}

/**
 * What an image must fulfil, all of it: the requirements of the longest scope that names it, else the default. Reads the
 * file. Throws Unknown beginning with SignatureValidationFailed if the policy cannot be read or understood.
 */
export function requirementsFor(location: PolicyLocation, reference: ImageReference): readonly Requirement[] {
  const { path } = location;
  if (path === '') return [{ type: 'insecureAcceptAnything' }];
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT' && location.mayBeMissing) return [{ type: 'insecureAcceptAnything' }];
    throw validationError(`policy ${path}: ${messageOf(cause)}`, cause);
  }
  if (!isObject(value)) throw validationError(`policy ${path}: not a JSON object`);
  for (const key of Object.keys(value))
    if (key !== 'default' && key !== 'transports')
      throw validationError(`policy ${path}: unknown key ${JSON.stringify(key)}`);
  const transports = isObject(value.transports) ? value.transports : {};
  const scopes = isObject(transports.docker) ? transports.docker : {};
  for (const scope of scopesOf(reference))
    if (Object.hasOwn(scopes, scope))
      return parseRequirements(scopes[scope], `policy ${path}, scope docker:${scope}`);
  if (value.default === undefined) throw validationError(`policy ${path}: it has no default`);
  return parseRequirements(value.default, `policy ${path}, default`);
}

/** Scopes that name an image, the narrowest first: reference, repository, the folders it is in, host, `*.domain`, everything. */
export function scopesOf(reference: ImageReference): string[] {
  const parts = nameOf(reference).split('/');
  const folders = parts.map((_, index) => parts.slice(0, parts.length - index).join('/'));
  const labels = reference.domain.split('.');
  const wildcards = labels.slice(1).map((_, index) => `*.${labels.slice(index + 1).join('.')}`);
  return [formatReference(reference), ...folders, ...wildcards, ''];
}

function parseRequirements(value: unknown, where: string): Requirement[] {
  if (!Array.isArray(value) || value.length === 0) throw validationError(`${where}: no requirements`);
  return value.map((item: unknown) => parseRequirement(item, where));
}

function parseRequirement(value: unknown, where: string): Requirement {
  if (!isObject(value)) throw validationError(`${where}: a requirement is no object`);
  switch (value.type) {
    case 'insecureAcceptAnything':
    case 'reject':
      checkKeys(value, [], where);
      return { type: value.type };
    case 'sigstoreSigned':
      for (const key of [
        'fulcio',
        'pki',
        'rekorPublicKeyPath',
        'rekorPublicKeyPaths',
        'rekorPublicKeyData',
        'rekorPublicKeyDatas',
      ])
        if (key in value) throw validationError(`${where}: ${key} is not supported, only keys are`);
      checkKeys(value, ['keyPath', 'keyPaths', 'keyData', 'keyDatas', 'signedIdentity'], where);
      return {
        type: 'sigstoreSigned',
        keys: parseKeys(value, where),
        identity: parseIdentity(value.signedIdentity, where),
      };
    case 'signedBy':
      throw validationError(
        `${where}: signedBy (GPG) is not supported; sign with sigstore keys and use sigstoreSigned`,
      );
    default:
      throw validationError(`${where}: unknown requirement ${JSON.stringify(value.type)}`);
  }
}

function checkKeys(value: Json, known: readonly string[], where: string): void {
  for (const key of Object.keys(value))
    if (key !== 'type' && !known.includes(key))
      throw validationError(`${where}: ${String(value.type)} has no key ${JSON.stringify(key)}`);
}

function texts(value: unknown, where: string, key: string): string[] {
  const list = Array.isArray(value) ? value : [value];
  if (list.length === 0 || list.some((item) => typeof item !== 'string' || item === ''))
    throw validationError(`${where}: ${key} must hold text`);
  return list as string[];
}

function parseKeys(value: Json, where: string): KeySource[] {
  const given = ['keyPath', 'keyPaths', 'keyData', 'keyDatas'].filter((key) => key in value);
  const [key] = given;
  if (key === undefined || given.length > 1)
    throw validationError(`${where}: one of keyPath, keyPaths, keyData and keyDatas must be given`);
  const list = texts(value[key], where, key);
  if (key.startsWith('keyPath')) return list.map((path) => ({ path }));
  return list.map((data) => ({ pem: Buffer.from(data, 'base64').toString('utf8') }));
}

function parseIdentity(value: unknown, where: string): IdentityRule {
  if (value === undefined) return { type: 'matchRepoDigestOrExact' };
  if (!isObject(value)) throw validationError(`${where}: signedIdentity is no object`);
  const text = (key: string) => texts(value[key], where, `signedIdentity.${key}`)[0]!;
  switch (value.type) {
    case 'matchExact':
    case 'matchRepoDigestOrExact':
    case 'matchRepository':
      checkKeys(value, [], where);
      return { type: value.type };
    case 'exactReference':
      checkKeys(value, ['dockerReference'], where);
      return { type: value.type, name: text('dockerReference') };
    case 'exactRepository':
      checkKeys(value, ['dockerRepository'], where);
      return { type: value.type, name: text('dockerRepository') };
    case 'remapIdentity':
      checkKeys(value, ['prefix', 'signedPrefix'], where);
      return { type: value.type, prefix: text('prefix'), signedPrefix: text('signedPrefix') };
    default:
      throw validationError(`${where}: unknown signedIdentity ${JSON.stringify(value.type)}`);
  }
}
