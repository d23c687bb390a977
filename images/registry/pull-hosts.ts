/**
 * The hosts to ask for one image, out of both ways to configure registries. What an operator wrote for just one host under
 * `certs.d` wins over `registries.conf`; `certs.d/_default` counts only for registries that `registries.conf` does not
 * mention; and what `registries.conf` blocks is blocked.
 */
import { RuntimeError } from '#base/errors.ts';
import { defaultHost, insecureHosts, isConfigured, loadHosts, type RegistryHost } from './hosts.ts';
import { findRule, type RegistriesConf, type RegistryLocation } from './registries-conf.ts';

export interface HostQuestion {
  readonly domain: string;
  readonly repository: string;
  /** Whether the reference names a digest: some mirrors are only for those, or only for others. */
  readonly isByDigest: boolean;
}

/** Hosts in the order in which they are to be tried. Reads files; throws Unknown for a blocked registry and for wrong configuration. */
export function pullHosts(
  question: HostQuestion,
  roots: readonly string[],
  conf: RegistriesConf,
): RegistryHost[] {
  const { domain, repository, isByDigest } = question;
  const name = `${domain}/${repository}`;
  const found = findRule(conf, name);
  if (found?.rule.isBlocked)
    throw new RuntimeError(
      'Unknown',
      `pulling ${name}: ${found.rule.prefix} is blocked in ${found.rule.file}`,
    );
  if (!found || isConfigured(roots, domain)) return loadHosts(roots, domain);
  const { rule, rest } = found;
  const mirrors = rule.mirrors.filter(
    ({ use }) => use === 'all' || use === (isByDigest ? 'digest-only' : 'tag-only'),
  );
  return [...mirrors, rule].flatMap((place) => hostsAt(place, rest, question, roots));
}

/** One place of registries.conf: its host as certs.d describes it, else by what the rule says, with the name there. */
function hostsAt(
  place: RegistryLocation,
  rest: string,
  { domain, repository }: HostQuestion,
  roots: readonly string[],
): RegistryHost[] {
  const name = place.location === '' ? `${domain}/${repository}` : `${place.location}${rest}`;
  const slash = name.indexOf('/');
  const host = slash < 0 ? name : name.slice(0, slash);
  const path = slash < 0 ? '' : name.slice(slash + 1);
  if (path === '')
    throw new RuntimeError(
      'Unknown',
      `registry configuration: location ${place.location} leaves ${domain}/${repository} without a name there`,
    );
  const hosts = isConfigured(roots, host)
    ? loadHosts(roots, host)
    : place.isInsecure
      ? insecureHosts(host)
      : [defaultHost(host)];
  const ownName = defaultHost(domain).name;
  return hosts.map((one) => ({
    ...one,
    // The secret of a request is for the registry that the reference names, wherever its images come from.
    isMirror: one.isMirror || one.name !== ownName,
    // A place of registries.conf knows by the name alone whose image it is; a mirror of that place does not.
    namespace: one.isMirror ? host : '',
    // Docker Hub's own images have a folder that people do not write.
    repository: host === 'docker.io' && !path.includes('/') ? `library/${path}` : path,
  }));
}
