/**
 * Which hosts serve a registry, and how to talk to each: mirrors, certificates, headers. Configured by a directory per
 * registry under `certs.d`, in the layout that containerd and Docker share, so that existing nodes keep theirs. Read anew
 * for every pull: a changed file needs no reload.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { parse } from 'smol-toml';
import { messageOf, RuntimeError } from '#base/errors.ts';

export const capabilities = ['pull', 'resolve', 'push'] as const;
export type Capability = (typeof capabilities)[number];

export interface ClientCertificate {
  readonly cert: Buffer;
  /** Undefined if `cert` holds the key as well. */
  readonly key: Buffer | undefined;
}

export interface RegistryHost {
  /** Scheme, host and port: `https://registry-1.docker.io`. */
  readonly origin: string;
  /** What comes before `/NAME/manifests/...`: `/v2`, or whatever an overriding path says. */
  readonly path: string;
  /** Host and port as they appear in messages and in auth files. */
  readonly name: string;
  /** Whether this host stands in for another registry; it then learns by `?ns=` which. */
  readonly isMirror: boolean;
  readonly capabilities: ReadonlySet<Capability>;
  /** Certificate authorities to trust beside the system's. */
  readonly ca: readonly Buffer[];
  readonly clients: readonly ClientCertificate[];
  readonly skipVerify: boolean;
  readonly headers: Readonly<Record<string, string | string[]>>;
  /** How long connecting may take; undefined for the default. */
  readonly dialTimeoutMs: number | undefined;
  /** The repository's name at this host, where it is another than in the reference. */
  readonly repository?: string;
  /** The registry that a mirror is told by `?ns=`, where it is another than in the reference; '' for none. */
  readonly namespace?: string;
  /** Plain HTTP, asked only if the host before it, the same over TLS, gives no answer. */
  readonly isFallback?: boolean;
}

/** Names a host and what is fetched from it, for tokens and secrets: a token is for one repository. */
export function hostKey({ origin, repository }: RegistryHost): string {
  return repository === undefined ? origin : `${origin} ${repository}`;
}

type Table = Record<string, unknown>;

/** Whether a host (with or without port) is this machine itself, where plain HTTP is no risk. */
export function isLoopback(host: string): boolean {
  const name = host.startsWith('[') ? host.slice(1, host.indexOf(']')) : host.replace(/:\d+$/, '');
  return name === 'localhost' || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name);
}

function defaultOrigin(domain: string, hasTls: boolean): string {
  if (domain === 'docker.io') return 'https://registry-1.docker.io';
  const isPlain = isLoopback(domain) && !hasTls && !domain.endsWith(':443');
  return `${isPlain ? 'http' : 'https'}://${domain}`;
}

function directoryNames(domain: string): string[] {
  return domain.includes(':') ? [`${domain.replace(/:([^:]*)$/, '_$1_')}`, domain] : [domain];
}

/** Whether one of `roots` has a directory for just this registry; `_default` is none. */
export function isConfigured(roots: readonly string[], domain: string): boolean {
  return roots.some((root) => directoryNames(domain).some((name) => existsSync(join(root, name))));
}

/** The directory that configures `domain` under one of `roots`: `h_p_`, then `h:p`, then `_default`; the first root that has one wins. */
function findDirectory(roots: readonly string[], domain: string): string | undefined {
  for (const root of roots)
    for (const name of [...directoryNames(domain), '_default']) {
      const directory = join(root, name);
      if (existsSync(directory)) return directory;
    }
  return undefined;
}

/** Docker's layout of a directory without hosts.toml: every `*.crt` is a CA, `NAME.cert` with `NAME.key` a client's pair. */
function readDockerCertificates(directory: string): Pick<RegistryHost, 'ca' | 'clients'> {
  const names = readdirSync(directory).sort();
  const read = (name: string) => readFileSync(join(directory, name));
  const clients = names
    .filter((name) => name.endsWith('.cert'))
    .map((name) => ({ cert: read(name), key: read(name.replace(/\.cert$/, '.key')) }));
  return { ca: names.filter((name) => name.endsWith('.crt')).map(read), clients };
}

/** Milliseconds of a Go duration (`1m30s`, `500ms`) or of a number of seconds. */
function parseDuration(value: unknown, where: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number') return value * 1000;
  const unitMs: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 1e-3, ns: 1e-6 };
  const text = typeof value === 'string' ? value : '';
  if (!/^(\d+(\.\d+)?(h|ms|m|us|ns|s))+$/.test(text))
    throw refuse(where, `dial_timeout ${JSON.stringify(value)} is no duration such as "10s"`);
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|us|ns|s)/g))
    total += Number(amount) * unitMs[unit!]!;
  return total;
}

function refuse(where: string, why: string, cause?: unknown): RuntimeError {
  return new RuntimeError('Unknown', `registry configuration ${where}: ${why}`, { cause });
}

function listOf(value: unknown, where: string, key: string): string[] {
  const list = value === undefined ? [] : Array.isArray(value) ? value : [value];
  for (const item of list)
    if (typeof item !== 'string') throw refuse(where, `${key} must be a string or a list of strings`);
  return list;
}

function readListed(directory: string, name: string, where: string): Buffer {
  try {
    return readFileSync(isAbsolute(name) ? name : join(directory, name));
  } catch (cause) {
    throw refuse(where, `cannot read ${name}: ${messageOf(cause)}`, cause);
  }
}

/** `client`: one file with both, a list of such files, or a list of [certificate, key] pairs. */
function parseClients(value: unknown, directory: string, where: string): ClientCertificate[] {
  const list = value === undefined ? [] : Array.isArray(value) ? value : [value];
  return list.map((item: unknown) => {
    const [cert, key, ...rest] = Array.isArray(item) ? item : [item];
    if (typeof cert !== 'string' || (key !== undefined && typeof key !== 'string') || rest.length > 0)
      throw refuse(where, 'client must be a file, a list of files, or a list of [certificate, key] pairs');
    return {
      cert: readListed(directory, cert, where),
      key: key === undefined || key === '' ? undefined : readListed(directory, key, where),
    };
  });
}

function parseCapabilities(value: unknown, where: string): ReadonlySet<Capability> {
  if (value === undefined) return new Set(capabilities);
  const named = listOf(value, where, 'capabilities');
  return new Set(capabilities.filter((capability) => named.includes(capability)));
}

function parseHeaders(value: unknown, where: string): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, content] of Object.entries((value ?? {}) as Table)) {
    const list = listOf(content, where, `header ${name}`);
    headers[name] = list.length === 1 ? list[0]! : list;
  }
  return headers;
}

function parseHost(
  url: string,
  table: Table,
  directory: string,
  file: string,
  ownOrigin: string,
): RegistryHost {
  const where = `${file}, host ${JSON.stringify(url)}`;
  let parsed: URL;
  try {
    parsed = new URL(/^https?:\/\//.test(url) ? url : `https://${url}`);
  } catch (cause) {
    throw refuse(where, 'this is no URL', cause);
  }
  const given = parsed.pathname.replace(/\/+$/, '');
  const path = table.override_path === true || given.endsWith('/v2') ? given : `${given}/v2`;
  return {
    origin: parsed.origin,
    path,
    name: parsed.host,
    isMirror: parsed.origin !== ownOrigin,
    capabilities: parseCapabilities(table.capabilities, where),
    ca: listOf(table.ca, where, 'ca').map((name) => readListed(directory, name, where)),
    clients: parseClients(table.client, directory, where),
    skipVerify: table.skip_verify === true,
    headers: parseHeaders(table.header, where),
    dialTimeoutMs: parseDuration(table.dial_timeout, where),
  };
}

function plainHost(domain: string, directory: string | undefined): RegistryHost {
  const certificates = directory === undefined ? { ca: [], clients: [] } : readDockerCertificates(directory);
  const origin = defaultOrigin(domain, certificates.ca.length > 0 || certificates.clients.length > 0);
  return {
    origin,
    path: '/v2',
    name: new URL(origin).host,
    isMirror: false,
    capabilities: new Set(capabilities),
    ...certificates,
    skipVerify: false,
    headers: {},
    dialTimeoutMs: undefined,
  };
}

/** A registry without certificates that need to be true, or without any: TLS first, then plain HTTP if TLS gets no answer. */
export function insecureHosts(domain: string): RegistryHost[] {
  const own = plainHost(domain, undefined);
  return [
    { ...own, origin: `https://${own.name}`, skipVerify: true },
    { ...own, origin: `http://${own.name}`, isFallback: true },
  ];
}

/** A registry of which nothing is configured. */
export function defaultHost(domain: string): RegistryHost {
  return plainHost(domain, undefined);
}

/**
 * The hosts to ask for images of `domain`, in order: the mirrors as written in its `hosts.toml` under the first of `roots`
 * that configures it, then the registry itself. Plain HTTP only where a URL says so, or for loopback. Reads files; throws
 * Unknown naming file and key when the configuration is wrong, since an ignored line could send a pull to the wrong place.
 * Source: containerd, docs/hosts.md.
 */
export function loadHosts(roots: readonly string[], domain: string): RegistryHost[] {
  const directory = findDirectory(roots, domain);
  if (directory === undefined) return [plainHost(domain, undefined)];
  const file = join(directory, 'hosts.toml');
  if (!existsSync(file)) return [plainHost(domain, directory)];
  let root: Table;
  try {
    root = parse(readFileSync(file, 'utf8')) as Table;
  } catch (cause) {
    throw refuse(file, messageOf(cause).split('\n')[0] ?? '', cause);
  }
  const own = plainHost(domain, undefined);
  const server = typeof root.server === 'string' && root.server !== '' ? root.server : own.origin;
  const tables = Object.entries((root.host ?? {}) as Record<string, Table>);
  const hosts = tables.map(([url, table]) => parseHost(url, table, directory, file, own.origin));
  return [...hosts, parseHost(server, root, directory, file, own.origin)];
}
