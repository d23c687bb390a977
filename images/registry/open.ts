/** Opens the client of one pull from plain data, so that another process can open the same one. */
import type { PullCredentials } from '../contract.ts';
import type { Grants } from './auth.ts';
import { RegistryClient } from './client.ts';
import { findInAuthFiles, secretOf } from './credentials.ts';
import { loadHosts } from './hosts.ts';
import type { TransferLimits } from './transport.ts';

/** How registries are reached, the same for all pulls. */
export interface RegistryAccess {
  /** Directories in the layout of `certs.d`, first match wins. */
  readonly hostRoots: readonly string[];
  /** Files in the format of Docker's config.json. */
  readonly authFiles: readonly string[];
  /** `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, as in the environment of other programs. */
  readonly proxy: Readonly<Record<string, string>>;
  readonly transfer: TransferLimits;
  readonly userAgent: string;
}

export interface PullSource {
  readonly domain: string;
  readonly repository: string;
  readonly credentials: PullCredentials | undefined;
  readonly access: RegistryAccess;
  readonly grants: Grants | undefined;
}

/** Reads the host configuration and the auth files and opens a client. Throws Unknown for configuration that is wrong. */
export function openClient(source: PullSource): RegistryClient {
  const { domain, repository, access } = source;
  const ofRequest = secretOf(source.credentials, domain);
  return new RegistryClient({
    domain,
    repository,
    hosts: loadHosts(access.hostRoots, domain),
    secretFor: (host) =>
      // The secret of the request is for the registry it names; a mirror gets only what a file grants it by name.
      (host.isMirror ? undefined : ofRequest) ?? findInAuthFiles(access.authFiles, host.name, repository),
    limits: access.transfer,
    proxy: access.proxy,
    userAgent: access.userAgent,
    now: Date.now,
    grants: source.grants,
  });
}
