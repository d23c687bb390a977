/**
 * Whose credentials go to which host. Those of the request are for the registry itself, never for its mirrors; auth files
 * in Docker's format (`{"auths": {"host": {"auth": "..."}}}`) may name any host or a helper program to ask, and are read
 * anew for every pull.
 */
import { readFileSync } from 'node:fs';
import { errnoOf, messageOf, RuntimeError } from '#base/errors.ts';
import type { PullCredentials } from '../contract.ts';

/** What proves who we are. */
export type Secret =
  | { readonly type: 'password'; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token, to be traded for an access token. */
  | { readonly type: 'refreshToken'; readonly token: string }
  /** A ready bearer token. */
  | { readonly type: 'bearer'; readonly token: string };

/** Host names that mean Docker Hub. */
const hubNames = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);

/** The host (and port) of a server address, which may be a URL; Docker Hub by one name. */
function canonicalHost(address: string): string {
  const host = address
    .replace(/^[a-z]+:\/\//i, '')
    .replace(/\/.*$/, '')
    .toLowerCase();
  return hubNames.has(host) ? 'docker.io' : host;
}

/** Splits the base64 of `user:password`. Throws Unknown if it is none. */
function decodeAuth(auth: string, where: string): Secret {
  const [, username, password] =
    /^([^:]*):([\s\S]*)$/.exec(Buffer.from(auth, 'base64').toString('utf8')) ?? [];
  if (username === undefined || password === undefined)
    throw new RuntimeError('Unknown', `${where}: the auth field is not the base64 of user:password`);
  return { type: 'password', username, password: password.replace(/\0+$/, '') };
}

/**
 * The secret of a CRI AuthConfig for `domain`: user name and password, else identity token, else `auth`, else registry
 * token. Undefined if there is none, or if its server address is another host's.
 */
export function secretOf(credentials: PullCredentials | undefined, domain: string): Secret | undefined {
  if (!credentials) return undefined;
  const { username, password, auth, serverAddress, identityToken, registryToken } = credentials;
  if (serverAddress !== '' && canonicalHost(serverAddress) !== canonicalHost(domain)) return undefined;
  if (username !== '') return { type: 'password', username, password };
  if (identityToken !== '') return { type: 'refreshToken', token: identityToken };
  if (auth !== '') return decodeAuth(auth, `credentials for ${domain}`);
  if (registryToken !== '') return { type: 'bearer', token: registryToken };
  return undefined;
}

interface AuthFileEntry {
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
}

interface AuthFile {
  readonly auths?: Record<string, AuthFileEntry>;
  /** Helpers by registry. */
  readonly credHelpers?: Record<string, string>;
  /** The helper for all others. */
  readonly credsStore?: string;
}

function readAuthFile(file: string): AuthFile {
  try {
    const value = JSON.parse(readFileSync(file, 'utf8')) as AuthFile | null;
    return typeof value === 'object' && value !== null ? value : {};
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return {};
    // The parser's words could quote the file, which holds secrets.
    const why = cause instanceof SyntaxError ? 'not JSON' : messageOf(cause);
    throw new RuntimeError('Unknown', `auth file ${file}: ${why}`);
  }
}

function findInAuths(
  auths: Readonly<Record<string, AuthFileEntry>>,
  host: string,
  repository: string,
  file: string,
): Secret | undefined {
  const byName = new Map<string, AuthFileEntry>();
  for (const [key, entry] of Object.entries(auths)) {
    const path = key
      .replace(/^[a-z]+:\/\//i, '')
      .replace(/^[^/]*/, '')
      .replace(/^\/v[12]\/?$|\/+$/, '');
    byName.set(canonicalHost(key) + path, entry);
  }
  const parts = [canonicalHost(host), ...repository.split('/')];
  for (let length = parts.length; length > 0; length -= 1) {
    const entry = byName.get(parts.slice(0, length).join('/'));
    if (!entry) continue;
    if (entry.identitytoken) return { type: 'refreshToken', token: entry.identitytoken };
    if (entry.auth) return decodeAuth(entry.auth, `auth file ${file}, ${parts.slice(0, length).join('/')}`);
    if (entry.username) return { type: 'password', username: entry.username, password: entry.password ?? '' };
  }
  return undefined;
}

/** Asks credential helper `name` about `server`; `where` says who configured it. */
export type AskHelper = (name: string, server: string, where: string) => Promise<Secret | undefined>;

/**
 * The secret for `host` in the first of `files` that has one. Within a file: the helper for this registry (`credHelpers`),
 * then entries (`auths`), those for a part of a registry (`host/team`) before those for all of it, then the helper for
 * everything (`credsStore`). Missing files are passed over. Throws Unknown, naming the file, for one that cannot be read,
 * and what `ask` throws.
 */
export async function findSecret(
  files: readonly string[],
  host: string,
  repository: string,
  ask: AskHelper,
): Promise<Secret | undefined> {
  const canonical = canonicalHost(host);
  // Logins to Docker Hub are kept under this address.
  const server = canonical === 'docker.io' ? 'https://index.docker.io/v1/' : host;
  for (const file of files) {
    const { auths, credHelpers, credsStore } = readAuthFile(file);
    const [, helper] =
      Object.entries(credHelpers ?? {}).find(([key]) => canonicalHost(key) === canonical) ?? [];
    const secret =
      (helper === undefined ? undefined : await ask(String(helper), server, `auth file ${file}`)) ??
      findInAuths(auths ?? {}, host, repository, file) ??
      (credsStore && helper === undefined
        ? await ask(String(credsStore), server, `auth file ${file}`)
        : undefined);
    if (secret) return secret;
  }
  return undefined;
}
