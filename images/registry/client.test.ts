import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Digest, PullCredentials } from '../contract.ts';
import { digestOf } from '../digest.ts';
import { ScriptedRegistry, serveBlob } from '../testing/scripted-registry.ts';
import { parseChallenges } from './auth.ts';
import { RegistryClient } from './client.ts';
import { findSecret, type Secret, secretOf } from './credentials.ts';
import { capabilities, type RegistryHost } from './hosts.ts';
import { defaultTransferLimits } from './transport.ts';

const never = new AbortController().signal;
const limits = {
  ...defaultTransferLimits,
  retryDelayMs: 5,
  longestDelayMs: 50,
  windowMs: 150,
  dialTimeoutMs: 1000,
};
const running: ScriptedRegistry[] = [];
const clients: RegistryClient[] = [];

async function start(): Promise<ScriptedRegistry> {
  const registry = await ScriptedRegistry.start();
  running.push(registry);
  return registry;
}

function hostOf(registry: { host: string }, more: Partial<RegistryHost> = {}): RegistryHost {
  return {
    origin: `http://${registry.host}`,
    path: '/v2',
    name: registry.host,
    isMirror: false,
    capabilities: new Set(capabilities),
    ca: [],
    clients: [],
    skipVerify: false,
    headers: {},
    dialTimeoutMs: undefined,
    ...more,
  };
}

function clientOf(hosts: RegistryHost[], secret?: Secret, secretHost = hosts.at(-1)): RegistryClient {
  const client = new RegistryClient({
    domain: 'r.example',
    repository: 'app',
    hosts,
    secretFor: (host) => (host === secretHost ? secret : undefined),
    limits,
    proxy: {},
    userAgent: 'berth-test',
    now: Date.now,
  });
  clients.push(client);
  return client;
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const registry of running.splice(0)) await registry.stop();
});

const blob = Buffer.alloc(200_000, 'layer bytes ');
async function stream(client: RegistryClient, content = blob, signal = never): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const sink = (chunk: Buffer) => {
    chunks.push(Buffer.from(chunk));
    return undefined;
  };
  const descriptor = { mediaType: '', digest: digestOf(content), sizeBytes: content.length, urls: [] };
  await client.streamBlob(descriptor, { offset: 0, sink, excluded: new Set() }, signal);
  return Buffer.concat(chunks);
}

describe('manifests', () => {
  it('resolves a tag with HEAD and fetches by digest', async () => {
    const registry = await start();
    const digest = registry.addManifest('app', { config: {} }, ['v1']) as Digest;
    const client = clientOf([hostOf(registry)]);
    expect((await client.resolve('v1', never)).digest).toBe(digest);
    expect((await client.fetchManifest(digest, never)).digest).toBe(digest);
    expect(registry.seen.map(({ method }) => method)).toEqual(['HEAD', 'GET']);
  });

  it('falls back to GET where HEAD is not supported', async () => {
    const registry = await start();
    const digest = registry.addManifest('app', { config: {} }, ['v1']);
    registry.intercept = (request, response) => {
      if (request.method !== 'HEAD') return false;
      response.writeHead(405).end();
      return true;
    };
    expect(await clientOf([hostOf(registry)]).resolve('v1', never)).toMatchObject({
      digest,
      manifest: { digest },
    });
  });

  it('asks mirrors first, tells them whose image it is, and passes over those that fail, lie or may not resolve', async () => {
    const [dead, liar, mute, origin] = [await start(), await start(), await start(), await start()];
    const digest = origin.addManifest('app', { config: {} }, ['v1']) as Digest;
    liar.manifests.set(`app/${digest}`, { body: Buffer.from('{"lie":1}'), mediaType: '' });
    const deadHost = hostOf(dead, { isMirror: true });
    await dead.stop();
    const hosts = [
      deadHost,
      hostOf(liar, { isMirror: true }),
      hostOf(mute, { isMirror: true, capabilities: new Set(['pull']) }),
      hostOf(origin),
    ];
    const client = clientOf(hosts);
    expect((await client.resolve('v1', never)).digest).toBe(digest);
    expect((await client.fetchManifest(digest, never)).digest).toBe(digest);
    expect(mute.requests('/manifests/v1')).toHaveLength(0);
    expect(liar.seen[0]!.url).toBe('/v2/app/manifests/v1?ns=r.example');
    expect(origin.seen[0]!.url).toBe('/v2/app/manifests/v1');
  });

  it('says RegistryUnavailable only when nothing could be reached, and gives the words of the registry otherwise', async () => {
    const [gone, registry] = [await start(), await start()];
    const goneHost = hostOf(gone);
    await gone.stop();
    await expect(clientOf([goneHost]).resolve('v1', never)).rejects.toMatchObject({
      kind: 'Unknown',
      message: expect.stringMatching(
        /^RegistryUnavailable: resolving r.example\/app:v1: 127.0.0.1:\d+: connection refused$/,
      ),
    });
    await expect(clientOf([goneHost, hostOf(registry)]).resolve('v1', never)).rejects.toThrow(
      /^resolving r.example\/app:v1: 127.0.0.1:\d+: not found \(HTTP 404, MANIFEST_UNKNOWN: manifest unknown\) \(earlier: .*refused\)$/,
    );
  });

  it('waits as long as Retry-After asks, within bounds', async () => {
    const registry = await start();
    const digest = registry.addManifest('app', { config: {} }, ['v1']);
    let refusals = 2;
    let after = '0';
    registry.intercept = (_request, response) => {
      if (refusals-- <= 0) return false;
      response.writeHead(429, { 'Retry-After': after }).end();
      return true;
    };
    expect((await clientOf([hostOf(registry)]).resolve('v1', never)).digest).toBe(digest);
    [refusals, after] = [2, '3600'];
    await expect(clientOf([hostOf(registry)]).resolve('v1', never)).rejects.toThrow(
      /too many requests \(HTTP 429\)/,
    );
  });
});

describe('blobs', () => {
  it('go on by Range after a reset, each byte once, also where the host ignores Range', async () => {
    for (const ignoresRange of [false, true]) {
      const registry = await start();
      registry.addBlob(blob);
      let resets = 2;
      registry.intercept = (request, response) => {
        if (resets-- > 0) {
          const start = Number(/(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
          response.writeHead(start ? 206 : 200, {
            'Content-Length': blob.length - start,
            ...(start && { 'Content-Range': `bytes ${start}-${blob.length - 1}/${blob.length}` }),
          });
          response.write(blob.subarray(start, start + 70_000), () => request.socket.destroy());
          return true;
        }
        if (!ignoresRange) return false;
        delete request.headers.range;
        serveBlob(request, response, blob);
        return true;
      };
      expect((await stream(clientOf([hostOf(registry)]))).equals(blob)).toBe(true);
      expect(registry.seen.at(-1)!.headers.range ?? 'ignored').toMatch(
        ignoresRange ? 'ignored' : /^bytes=\d{4,}-$/,
      );
    }
  });

  it('move to the next host when bytes trickle, and go on there', async () => {
    const [slow, origin] = [await start(), await start()];
    origin.addBlob(blob);
    const timers: NodeJS.Timeout[] = [];
    slow.intercept = (_request, response) => {
      response.writeHead(200, { 'Content-Length': blob.length });
      response.write(blob.subarray(0, 50_000));
      let at = 50_000;
      timers.push(setInterval(() => response.write(blob.subarray(at++, at)), 20));
      return true;
    };
    const received = await stream(clientOf([hostOf(slow, { isMirror: true }), hostOf(origin)]));
    for (const timer of timers) clearInterval(timer);
    expect(received.equals(blob)).toBe(true);
    expect(origin.seen[0]!.headers.range).toMatch(/^bytes=\d{5}-$/);
  });

  it('end with a clear error when truncated for good, too long, or never sent', async () => {
    const registry = await start();
    const answer = (write: (response: import('node:http').ServerResponse) => void) => {
      registry.intercept = (_request, response) => {
        write(response);
        return true;
      };
    };
    answer((response) => response.writeHead(200, { 'Content-Length': 10 }).end(blob.subarray(0, 10)));
    await expect(stream(clientOf([hostOf(registry)]))).rejects.toThrow(/ended after 10 of 200000 bytes/);
    answer((response) => response.end(Buffer.alloc(blob.length + 1)));
    await expect(stream(clientOf([hostOf(registry)]))).rejects.toThrow(/sent more than the 200000 bytes/);
    answer(() => {});
    await expect(stream(clientOf([hostOf(registry)]))).rejects.toThrow(/fewer than 16384 bytes in 0.15 s/);
  });

  it('are let go when the caller cancels', async () => {
    const registry = await start();
    registry.intercept = () => true;
    const cancel = new AbortController();
    const streaming = stream(clientOf([hostOf(registry)]), blob, cancel.signal);
    setTimeout(() => cancel.abort(), 20);
    await expect(streaming).rejects.toMatchObject({ kind: 'Canceled' });
  });

  it('follow redirects without taking the credentials along', async () => {
    const [registry, store] = [await start(), await start()];
    registry.intercept = (request, response) => {
      if (request.headers.authorization !== 'Basic dTpw')
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="x"' }).end();
      else
        response
          .writeHead(307, { Location: `http://${store.host}/v2/app/blobs/${digestOf(blob)}?sig=1` })
          .end();
      return true;
    };
    store.addBlob(blob);
    const secret = { type: 'password', username: 'u', password: 'p' } as const;
    expect((await stream(clientOf([hostOf(registry)], secret))).equals(blob)).toBe(true);
    expect(store.seen[0]!.headers.authorization).toBeUndefined();
  });
});

describe('authorization', () => {
  let registry: ScriptedRegistry;
  let accepted = 'token-1';
  let granted: string | undefined;
  let postStatus = 200;
  const asked: { method: string; url: string; body: string; authorization: string | undefined }[] = [];
  beforeEach(async () => {
    registry = await start();
    registry.addManifest('app', { config: {} }, ['v1']);
    registry.addBlob(blob);
    asked.length = 0;
    [accepted, granted, postStatus] = ['token-1', undefined, 200];
    registry.intercept = (request, response, body) => {
      const { method = '', url = '' } = request;
      if (url.startsWith('/token')) {
        asked.push({ method, url, body: body.toString(), authorization: request.headers.authorization });
        if (method === 'POST' && postStatus !== 200) response.writeHead(postStatus).end();
        else response.end(JSON.stringify({ access_token: granted ?? accepted, expires_in: 300 }));
        return true;
      }
      if (request.headers.authorization === `Bearer ${accepted}`) return false;
      response
        .writeHead(401, {
          'WWW-Authenticate': `Bearer realm="http://${registry.host}/token",service="s",scope="repository:app:pull"`,
        })
        .end();
      return true;
    };
  });

  it('gets an anonymous token, keeps it, and renews it once when it is revoked', async () => {
    const client = clientOf([hostOf(registry)]);
    await client.resolve('v1', never);
    await stream(client);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ method: 'GET', url: '/token?service=s&scope=repository%3Aapp%3Apull' });
    accepted = 'token-2';
    await Promise.all([stream(client), stream(client), client.resolve('v1', never)]);
    expect(asked).toHaveLength(2);
  });

  it('posts a password or refresh token, and falls back to GET with Basic', async () => {
    await clientOf([hostOf(registry)], { type: 'refreshToken', token: 'r' }).resolve('v1', never);
    expect(Object.fromEntries(new URLSearchParams(asked[0]!.body))).toMatchObject({
      grant_type: 'refresh_token',
      refresh_token: 'r',
      service: 's',
      scope: 'repository:app:pull',
      access_type: 'offline',
    });
    postStatus = 405;
    await clientOf([hostOf(registry)], { type: 'password', username: 'u', password: 'p' }).resolve(
      'v1',
      never,
    );
    expect(asked.slice(1).map(({ method }) => method)).toEqual(['POST', 'GET']);
    expect(asked[2]!.authorization).toBe('Basic dTpw');
  });

  it('uses a ready bearer token as it is', async () => {
    await clientOf([hostOf(registry)], { type: 'bearer', token: 'token-1' }).resolve('v1', never);
    expect(asked).toHaveLength(0);
  });

  it('keeps the credentials of the registry from its mirrors', async () => {
    const mirror = await start();
    mirror.intercept = (_request, response) => {
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="m"' }).end();
      return true;
    };
    const secret = { type: 'password', username: 'u', password: 'p' } as const;
    await clientOf([hostOf(mirror, { isMirror: true }), hostOf(registry)], secret).resolve('v1', never);
    expect(mirror.seen.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  it('covers what a registry says back of the credentials that it was sent', async () => {
    registry.intercept = (request, response) => {
      const { authorization } = request.headers;
      if (!authorization) response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' }).end();
      else {
        const words = `${authorization} is ${Buffer.from(authorization.slice(6), 'base64')}`;
        response.writeHead(403).end(JSON.stringify({ errors: [{ code: 'DENIED', message: words }] }));
      }
      return true;
    };
    const secret = { type: 'password', username: 'u', password: 'hunter2' } as const;
    const failure = await clientOf([hostOf(registry)], secret)
      .resolve('v1', never)
      .catch((error: Error) => error);
    expect(failure).toMatchObject({ message: expect.stringMatching(/DENIED: Basic \*\*\* is u:\*\*\*/) });
    const told = `${(failure as Error).stack} ${((failure as Error).cause as Error).stack}`;
    expect(told).not.toMatch(/hunter2|dTpodW50ZXIy/);
  });

  it('says so when it is refused, without the secret', async () => {
    granted = 'not the accepted one';
    const pulling = clientOf([hostOf(registry)], {
      type: 'password',
      username: 'u',
      password: 'hunter2',
    }).resolve('v1', never);
    await expect(pulling).rejects.toThrow(/authorization failed: check the image pull secret/);
    await expect(pulling).rejects.not.toThrow(/hunter2/);
  });
});

describe('credentials', () => {
  const none: PullCredentials = {
    username: '',
    password: '',
    auth: '',
    serverAddress: '',
    identityToken: '',
    registryToken: '',
  };
  it('are chosen in the order of the CRI, and only for the server they name', () => {
    const auth = Buffer.from('a:b:c\0').toString('base64');
    expect(secretOf({ ...none, username: 'u', password: 'p', auth }, 'x')).toMatchObject({ username: 'u' });
    expect(secretOf({ ...none, auth, registryToken: 't' }, 'x')).toEqual({
      type: 'password',
      username: 'a',
      password: 'b:c',
    });
    expect(secretOf({ ...none, registryToken: 't' }, 'x')).toEqual({ type: 'bearer', token: 't' });
    expect(
      secretOf({ ...none, auth, serverAddress: 'https://index.docker.io/v1/' }, 'docker.io'),
    ).toBeDefined();
    expect(secretOf({ ...none, auth, serverAddress: 'other.example' }, 'docker.io')).toBeUndefined();
  });

  it('may come from an auth file, the longest name first', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'auth-'));
    const file = join(directory, 'auth.json');
    const auth = (text: string) => ({ auth: Buffer.from(text).toString('base64') });
    writeFileSync(
      file,
      JSON.stringify({
        auths: {
          'https://index.docker.io/v1/': auth('hub:1'),
          'r:5/team': auth('team:1'),
          'r:5': auth('all:1'),
        },
      }),
    );
    const user = (host: string, repository: string) =>
      findSecret(['/nonexistent', file], host, repository, async () => undefined);
    expect(await user('registry-1.docker.io', 'library/x')).toMatchObject({ username: 'hub' });
    expect(await user('r:5', 'team/x')).toMatchObject({ username: 'team' });
    expect(await user('r:5', 'x')).toMatchObject({ username: 'all' });
    expect(await user('other', 'x')).toBeUndefined();
    rmSync(directory, { recursive: true });
  });

  it('answer challenges of every spelling', () => {
    expect(parseChallenges('Basic realm="a, \\"b\\"", Bearer realm=x,scope="s t"')).toEqual([
      { scheme: 'basic', parameters: { realm: 'a, "b"' } },
      { scheme: 'bearer', parameters: { realm: 'x', scope: 's t' } },
    ]);
  });
});

describe('a host that accepts connections and says nothing', () => {
  it('is given up', async () => {
    const server = createServer(() => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const host = `127.0.0.1:${(server.address() as import('node:net').AddressInfo).port}`;
    await expect(clientOf([hostOf({ host })]).resolve('v1', never)).rejects.toThrow(
      /^RegistryUnavailable: .*fewer than/,
    );
    server.close();
  });
});
