import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadHosts } from './hosts.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hosts-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function write(directory: string, files: Record<string, string>): void {
  mkdirSync(join(root, directory), { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(root, directory, name), content);
}

const urls = (domain: string) => loadHosts([root], domain).map((host) => host.origin + host.path);

describe('registry hosts', () => {
  it('have defaults: TLS, Docker Hub by its real name, plain HTTP on loopback only', () => {
    expect(urls('docker.io')).toEqual(['https://registry-1.docker.io/v2']);
    expect(urls('quay.io')).toEqual(['https://quay.io/v2']);
    expect(urls('10.0.0.1:5000')).toEqual(['https://10.0.0.1:5000/v2']);
    expect(urls('127.0.0.1:5000')).toEqual(['http://127.0.0.1:5000/v2']);
    expect(urls('localhost:5000')).toEqual(['http://localhost:5000/v2']);
  });

  it('are read from hosts.toml, in the order of the file, the registry itself last', () => {
    write('docker.io', {
      'ca.pem': 'CA',
      'both.pem': 'BOTH',
      'c.cert': 'C',
      'c.key': 'K',
      'hosts.toml': `
server = "https://hub.example"
skip_verify = true
[host."https://m1.example:5000"]
  capabilities = ["pull"]
  ca = "ca.pem"
  client = [["c.cert", "c.key"], ["both.pem", ""]]
  dial_timeout = "1m1.5s"
  [host."https://m1.example:5000".header]
    X-A = "1"
    X-B = ["2", "3"]
[host."http://m2.example/prefix/v2/"]
[host."m3.example/deep"]
  override_path = true
`,
    });
    const hosts = loadHosts([root], 'docker.io');
    expect(hosts.map((host) => host.origin + host.path)).toEqual([
      'https://m1.example:5000/v2',
      'http://m2.example/prefix/v2',
      'https://m3.example/deep',
      'https://hub.example/v2',
    ]);
    expect(hosts[0]).toMatchObject({
      isMirror: true,
      ca: [Buffer.from('CA')],
      clients: [
        { cert: Buffer.from('C'), key: Buffer.from('K') },
        { cert: Buffer.from('BOTH'), key: undefined },
      ],
      headers: { 'X-A': '1', 'X-B': ['2', '3'] },
      dialTimeoutMs: 61_500,
      skipVerify: false,
    });
    expect([...hosts[0]!.capabilities]).toEqual(['pull']);
    expect(hosts[3]!.skipVerify).toBe(true);
  });

  it('are found under both spellings of a port, else under _default', () => {
    write('_default', { 'hosts.toml': '[host."https://all.example"]' });
    expect(urls('quay.io')).toEqual(['https://all.example/v2', 'https://quay.io/v2']);
    write('r.example:5000', { 'hosts.toml': 'server = "http://literal.example"' });
    expect(urls('r.example:5000')).toEqual(['http://literal.example/v2']);
    write('r.example_5000_', { 'hosts.toml': 'server = "http://escaped.example"' });
    expect(urls('r.example:5000')).toEqual(['http://escaped.example/v2']);
  });

  it("may be a directory of certificates only, in Docker's layout", () => {
    write('localhost:5000', { 'a.crt': 'A', 'me.cert': 'ME', 'me.key': 'KEY' });
    const [host] = loadHosts([root], 'localhost:5000');
    expect(host).toMatchObject({
      origin: 'https://localhost:5000',
      ca: [Buffer.from('A')],
      clients: [{ key: Buffer.from('KEY') }],
    });
  });

  it.each([
    ['bad = = toml', /hosts.toml/],
    ['[host."https://x"]\ndial_timeout = "soon"', /dial_timeout "soon"/],
    ['[host."https://x"]\nca = "gone.pem"', /cannot read gone.pem/],
    ['[host."https://x"]\nca = 3', /ca must be/],
  ])('say what is wrong in %j', (toml, text) => {
    write('quay.io', { 'hosts.toml': toml });
    expect(() => loadHosts([root], 'quay.io')).toThrow(text);
  });
});
