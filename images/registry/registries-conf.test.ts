import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatReference } from '../reference.ts';
import { ShortNames } from '../short-names.ts';
import { ScriptedRegistry } from '../testing/scripted-registry.ts';
import { RegistryClient } from './client.ts';
import { pullHosts } from './pull-hosts.ts';
import { RegistriesConfFile } from './registries-conf.ts';
import { defaultTransferLimits } from './transport.ts';

let root: string;
let file: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'registries-'));
  file = join(root, 'registries.conf');
  mkdirSync(`${file}.d`);
});
afterEach(() => rmSync(root, { recursive: true }));

function certs(domain: string, toml: string): void {
  mkdirSync(join(root, 'certs.d', domain), { recursive: true });
  writeFileSync(join(root, 'certs.d', domain, 'hosts.toml'), toml);
}
const hostsOf = (name: string, isByDigest = false) => {
  const slash = name.indexOf('/');
  const question = { domain: name.slice(0, slash), repository: name.slice(slash + 1), isByDigest };
  return pullHosts(question, [join(root, 'certs.d')], new RegistriesConfFile(file).load());
};
const urls = (name: string, isByDigest = false) =>
  hostsOf(name, isByDigest).map(
    (host) => `${host.origin}${host.path}/${host.repository ?? name.slice(name.indexOf('/') + 1)}`,
  );

describe('registries.conf', () => {
  it('rewrites names by the longest prefix, asks mirrors first, and tells which are insecure', () => {
    writeFileSync(
      file,
      `
[[registry]]
prefix = "example.com"
location = "internal.example:5000/mirror"
[[registry.mirror]]
location = "m1.example"
[[registry.mirror]]
location = "m2.example:80/all"
insecure = true
[[registry]]
prefix = "example.com/team"
location = "example.com/team"
[[registry]]
prefix = "*.wild.example"
[[registry.mirror]]
location = "w.example/cache"
[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "hub.example"
`,
    );
    expect(urls('example.com/app')).toEqual([
      'https://m1.example/v2/app',
      'https://m2.example:80/v2/all/app',
      'http://m2.example:80/v2/all/app',
      'https://internal.example:5000/v2/mirror/app',
    ]);
    expect(hostsOf('example.com/app').map((host) => [host.isMirror, host.skipVerify])).toEqual([
      [true, false],
      [true, true],
      [true, false],
      [true, false],
    ]);
    expect(urls('example.com/team/app')).toEqual(['https://example.com/v2/team/app']);
    expect(hostsOf('example.com/team/app')[0]!.isMirror).toBe(false);
    expect(urls('example.com:5000/app')).toEqual(['https://example.com:5000/v2/app']);
    expect(urls('a.b.wild.example/x')).toEqual([
      'https://w.example/v2/cache/x',
      'https://a.b.wild.example/v2/x',
    ]);
    expect(urls('docker.io/library/busybox')).toEqual([
      'https://hub.example/v2/library/busybox',
      'https://registry-1.docker.io/v2/library/busybox',
    ]);
    expect(urls('other.example/x')).toEqual(['https://other.example/v2/x']);
  });

  it('uses mirrors for digests only, or for tags only, as told', () => {
    writeFileSync(
      file,
      `
[[registry]]
location = "a.example"
mirror-by-digest-only = true
mirror = [{ location = "d.example" }]
[[registry]]
location = "b.example"
mirror = [{ location = "t.example", pull-from-mirror = "tag-only" }]
`,
    );
    expect(urls('a.example/x')).toHaveLength(1);
    expect(urls('a.example/x', true)[0]).toBe('https://d.example/v2/x');
    expect(urls('b.example/x')[0]).toBe('https://t.example/v2/x');
    expect(urls('b.example/x', true)).toHaveLength(1);
  });

  it('gives way to certs.d of a host, but not to its _default, and blocks whatever certs.d says', () => {
    writeFileSync(
      file,
      `
[[registry]]
location = "both.example"
mirror = [{ location = "m.example" }]
[[registry]]
location = "conf.example"
mirror = [{ location = "tuned.example", insecure = true }]
[[registry]]
prefix = "both.example/bad"
location = "both.example/bad"
blocked = true
`,
    );
    certs('both.example', '[host."https://certs.example"]');
    certs('tuned.example', 'server = "https://tuned.example:8443"');
    certs('_default', '[host."https://default.example"]');
    expect(urls('both.example/x')).toEqual(['https://certs.example/v2/x', 'https://both.example/v2/x']);
    expect(urls('conf.example/x')).toEqual(['https://tuned.example:8443/v2/x', 'https://conf.example/v2/x']);
    expect(urls('third.example/x')[0]).toBe('https://default.example/v2/x');
    expect(() => urls('both.example/bad/x')).toThrow(/both.example\/bad is blocked in .*registries.conf/);
  });

  it('is read again when a file changes; later files win', () => {
    const conf = new RegistriesConfFile(file);
    expect(conf.load().rules.size).toBe(0);
    writeFileSync(
      file,
      'unqualified-search-registries = ["a.example"]\n[aliases]\nx = "a.example/x"\ny = "a.b/y"',
    );
    expect(conf.load().searchRegistries).toEqual(['a.example']);
    writeFileSync(
      join(`${file}.d`, '10.conf'),
      'unqualified-search-registries = ["b.example"]\nshort-name-mode = "enforcing"\n[aliases]\nx = ""',
    );
    writeFileSync(join(`${file}.d`, 'ignored.txt'), 'no toml');
    expect(conf.load()).toMatchObject({ searchRegistries: ['b.example'], shortNameMode: 'enforcing' });
    expect([...conf.load().aliases]).toEqual([['y', 'a.b/y']]);
    rmSync(file);
    expect(conf.load().aliases.size).toBe(0);
  });

  it.each([
    ['a = = b', /registries.conf: Invalid TOML/],
    ['[registries.search]\nregistries = ["x"]', /version 1/],
    ['[[registry]]\nprefix = "x.example"', /no location/],
    ['[[registry]]\nlocation = "https://x.example"', /not a URL/],
    ['[[registry]]\nlocation = "x.example/a:tag"', /tag or digest/],
    ['[[registry]]\nlocation = "x.example"\nblocked = "yes"', /blocked must be true or false/],
    ['[[registry]]\nlocation = "x.example"\nmirror = [{ insecure = true }]', /no location/],
    ['unqualified-search-registries = ["mirror"]', /"mirror" names no registry/],
    ['[aliases]\nx = "team/x"', /"team\/x" names no registry/],
    ['short-name-mode = "guess"', /one of enforcing, permissive, disabled/],
  ])('says what is wrong in %j', (toml, text) => {
    writeFileSync(file, toml);
    expect(() => new RegistriesConfFile(file).load()).toThrow(text);
  });

  it('completes short names: by alias, by the registries to search, else as Docker Hub', () => {
    const names = new ShortNames(new RegistriesConfFile(file));
    const pulled = (text: string) => names.toPull(text).map(formatReference);
    expect(pulled('busybox')).toEqual(['docker.io/library/busybox:latest']);
    writeFileSync(file, '[aliases]\nfedora = "registry.example/fedora"\n"team/app" = "r.example:5000/t/a"');
    expect(pulled('fedora:40')).toEqual(['registry.example/fedora:40']);
    expect(pulled('team/app')).toEqual(['r.example:5000/t/a:latest']);
    expect(pulled('busybox')).toEqual(['docker.io/library/busybox:latest']);
    writeFileSync(file, 'unqualified-search-registries = ["a.example", "docker.io"]');
    expect(pulled('busybox:1')).toEqual(['a.example/busybox:1', 'docker.io/library/busybox:1']);
    expect(pulled('q.example/busybox')).toEqual(['q.example/busybox:latest']);
    writeFileSync(
      file,
      'short-name-mode = "enforcing"\nunqualified-search-registries = ["a.example", "docker.io"]',
    );
    expect(() => pulled('busybox')).toThrow(/any of a.example\/busybox, docker.io\/library\/busybox, and/);
    expect(names.candidates('busybox')).toHaveLength(2);
    writeFileSync(file, 'short-name-mode = "enforcing"\nunqualified-search-registries = ["a.example"]');
    expect(pulled('busybox')).toEqual(['a.example/busybox:latest']);
  });

  it('reaches an insecure registry by plain HTTP if it does not speak TLS, which it is asked once', async () => {
    const registry = await ScriptedRegistry.start();
    const digest = registry.addManifest('there/app', { config: {} }, ['v1']);
    writeFileSync(
      file,
      `[[registry]]\nprefix = "r.example"\nlocation = "${registry.host}/there"\ninsecure = true\n`,
    );
    const hosts = hostsOf('r.example/app');
    const client = new RegistryClient({
      domain: 'r.example',
      repository: 'app',
      hosts,
      secretFor: () => undefined,
      limits: { ...defaultTransferLimits, retryDelayMs: 5, attempts: 1 },
      proxy: {},
      userAgent: 'berth-test',
      now: Date.now,
    });
    const { signal } = new AbortController();
    expect((await client.resolve('v1', signal)).digest).toBe(digest);
    expect(registry.seen.map(({ url }) => url)).toEqual(['/v2/there/app/manifests/v1']);
    await expect(client.resolve('gone', signal)).rejects.toThrow(/^resolving .*not found \(HTTP 404/);
    client.close();
    await registry.stop();
  });
});
