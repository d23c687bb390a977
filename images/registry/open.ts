/**
 * Opens the client of one pull from plain data, so that another process can open the same one. Who we are is found out once,
 * in the daemon (helpers are asked there); the process that fetches layers gets it through its standard input, which
 * nobody else can read, unlike arguments and environments.
 */
import type { PullCredentials } from '../contract.ts';
import type { ImageReference } from '../reference.ts';
import type { Grants } from './auth.ts';
import { RegistryClient } from './client.ts';
import { askHelper, type HelperAccess } from './credential-helper.ts';
import { findSecret, type Secret, secretOf } from './credentials.ts';
import { hostKey, type RegistryHost } from './hosts.ts';
import { pullHosts } from './pull-hosts.ts';
import { PushClient } from './push-client.ts';
import { RegistriesConfFile } from './registries-conf.ts';
import type { TransferLimits } from './transport.ts';

/** How registries are reached, the same for all pulls. */
export interface HostAccess {
  /** Directories in the layout of `certs.d`, first match wins. */
  readonly hostRoots: readonly string[];
  /** The containers projects' `registries.conf`, which may be missing; '' for none. */
  readonly registriesConf: string;
  /** `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, as in the environment of other programs. */
  readonly proxy: Readonly<Record<string, string>>;
  readonly transfer: TransferLimits;
  readonly userAgent: string;
}

export interface RegistryAccess extends HostAccess {
  /** Files in the format of Docker's config.json. */
  readonly authFiles: readonly string[];
  readonly helpers: HelperAccess;
}

/** Holds secrets: never log it. */
export interface PullSource {
  readonly domain: string;
  readonly repository: string;
  readonly isByDigest: boolean;
  /** By host key. */
  readonly secrets: Readonly<Record<string, Secret>>;
  readonly access: HostAccess;
  readonly grants: Grants | undefined;
}

/** The same for a push. Holds secrets. */
export interface PushSource extends PullSource {
  /** Other repositories of the registry that blobs are mounted from. */
  readonly mountFrom: readonly string[];
}

function hostsOf(source: Omit<PullSource, 'secrets' | 'grants'>): RegistryHost[] {
  const { registriesConf, hostRoots } = source.access;
  return pullHosts(source, hostRoots, new RegistriesConfFile(registriesConf).load());
}

/**
 * Reads the registries' configuration and the auth files, and asks credential helpers, for one pull. Throws Unknown for a
 * blocked registry, wrong configuration and helpers that fail; Canceled.
 */
export async function openSource(
  reference: ImageReference,
  credentials: PullCredentials | undefined,
  access: RegistryAccess,
  signal: AbortSignal,
): Promise<PullSource> {
  const { hostRoots, registriesConf, proxy, transfer, userAgent } = access;
  const place = {
    domain: reference.domain,
    repository: reference.path,
    isByDigest: reference.digest !== undefined,
    access: { hostRoots, registriesConf, proxy, transfer, userAgent },
  };
  const ofRequest = secretOf(credentials, reference.domain);
  const asked = new Map<string, Promise<Secret | undefined>>();
  const ask = (name: string, server: string, where: string) => {
    const key = `${name} ${server}`;
    const answer = asked.get(key) ?? askHelper(name, server, where, access.helpers, signal);
    asked.set(key, answer);
    return answer;
  };
  const secrets: Record<string, Secret> = {};
  for (const host of hostsOf(place)) {
    // The secret of the request is for the registry it names; a mirror gets only what a file grants it by name.
    const secret =
      (host.isMirror ? undefined : ofRequest) ??
      (await findSecret(access.authFiles, host.name, host.repository ?? reference.path, ask));
    if (secret) secrets[hostKey(host)] = secret;
  }
  return { ...place, secrets, grants: undefined };
}

/** Reads the configuration of hosts and opens a client. Throws Unknown for a blocked registry and configuration that is wrong. */
export function openClient(source: PullSource): RegistryClient {
  const { domain, repository, access } = source;
  return new RegistryClient({
    domain,
    repository,
    hosts: hostsOf(source),
    secretFor: (host) => source.secrets[hostKey(host)],
    limits: access.transfer,
    proxy: access.proxy,
    userAgent: access.userAgent,
    now: Date.now,
    grants: source.grants,
  });
}

/** Opens a client that pushes, to the hosts that may be pushed to. Throws Unknown as openClient. */
export function openPushClient(source: PushSource): PushClient {
  const { domain, repository, access, mountFrom } = source;
  return new PushClient({
    domain,
    repository,
    mountFrom,
    hosts: hostsOf(source).filter(({ capabilities }) => capabilities.has('push')),
    secretFor: (host) => source.secrets[hostKey(host)],
    limits: access.transfer,
    proxy: access.proxy,
    userAgent: access.userAgent,
    now: Date.now,
    grants: source.grants,
  });
}
