/**
 * Whole pulls from a registry that means harm or is broken, one fault at a time: a clear error, nothing left in the store, and the
 * next pull works. What needs only the client is in registry/client.test.ts, damaged layers in service.root.test.ts.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { PullCredentials } from './contract.ts';
import { digestOf } from './digest.ts';
import { mediaTypes } from './manifest.ts';
import { RegistryClient } from './registry/client.ts';
import { capabilities } from './registry/hosts.ts';
import { defaultTransferLimits } from './registry/transport.ts';
import { ImageBench } from './testing/image-bench.ts';
import { type Interceptor, ScriptedRegistry, serveBlob } from './testing/scripted-registry.ts';
import { layerOf, publish, type TestImage, testImage, testLayer } from './testing/test-image.ts';

const never = new AbortController().signal;
/** Short waits: how long they may be is client.test.ts's to show. */
const transfer = { windowMs: 200, retryDelayMs: 5, longestDelayMs: 100 };
const noise = randomBytes(300_000);
const layer = testLayer([{ name: 'content', content: noise }]);
const image = testImage([layer]);
const layerUrl = `/blobs/${digestOf(layer.blob)}`;

let registry: ScriptedRegistry;
let bench: ImageBench;
const undo: (() => Promise<unknown> | unknown)[] = [];
beforeEach(async () => {
  registry = await ScriptedRegistry.start();
  await publish(registry, 'app', image, ['v1']);
  bench = new ImageBench({ retryGraceMs: 0, resumableBytes: 16 << 20, transfer });
  undo.push(
    () => registry.stop(),
    () => bench.close(),
  );
});
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const password = { username: 'user', password: 'hunter2' };
function pull(reference = 'app:v1', credentials?: Partial<PullCredentials>) {
  const none = {
    username: '',
    password: '',
    auth: '',
    serverAddress: '',
    identityToken: '',
    registryToken: '',
  };
  return bench.images.pull(
    { reference: `${registry.host}/${reference}`, credentials: credentials && { ...none, ...credentials } },
    never,
  );
}

type Answer = (response: ServerResponse, request: IncomingMessage, body: Buffer) => void;

/** Answers what is below a path in its own way. */
function on(part: string | RegExp, answer: Answer): Interceptor {
  return (request, response, body) => {
    if (typeof part === 'string' ? !request.url!.includes(part) : !part.test(request.url!)) return false;
    answer(response, request, body);
    return true;
  };
}
const status =
  (code: number, headers: Record<string, string> = {}, body = ''): Answer =>
  (response) =>
    response.writeHead(code, headers).end(body);

/** Sends without end, until the other side has had enough. */
const endless =
  (head: Record<string, string>, piece: Buffer): Answer =>
  (response, request) => {
    response.writeHead(200, head);
    if (request.method === 'HEAD') return void response.end();
    const more = () => {
      while (!response.destroyed && response.write(piece));
      if (!response.destroyed) response.once('drain', more);
    };
    more();
  };

/** A registry that wants a token of `/token`, which answers as it likes. */
function tokenServer(answer: Answer, realm = `http://${registry.host}/token`): Interceptor {
  return (request, response, body) => {
    if (request.url!.startsWith('/token')) {
      answer(response, request, body);
      return true;
    }
    if (request.headers.authorization === 'Bearer good') return false;
    response.writeHead(401, { 'WWW-Authenticate': `Bearer realm="${realm}",service="s"` }).end();
    return true;
  };
}
const token = (reply: unknown) => tokenServer(status(200, {}, JSON.stringify(reply)));

/** Another image, under its own name, whose manifest says what is not so. */
function misdescribed(change: (manifest: { layers: Record<string, unknown>[] }) => void): void {
  const manifest = JSON.parse(image.manifest.toString()) as { layers: Record<string, unknown>[] };
  change(manifest);
  registry.addManifest('app', manifest, ['wrong']);
}

interface Fault {
  readonly what: string;
  readonly words: RegExp;
  readonly arrange: () => Interceptor | undefined;
  readonly reference?: string;
  readonly credentials?: Partial<PullCredentials>;
}

const faults: readonly Fault[] = [
  {
    what: 'a layer that always ends early',
    words: /broke off|ended after|aborted/,
    arrange: () =>
      on(layerUrl, (response, request) => {
        response.writeHead(200, { 'Content-Length': layer.blob.length });
        response.write(layer.blob.subarray(0, 1000), () => request.socket.destroy());
      }),
  },
  {
    what: 'a manifest that says the layer is longer than it is',
    words: /ended after \d+ of \d+ bytes/,
    reference: 'app:wrong',
    arrange: () => {
      misdescribed(({ layers }) => {
        layers[0]!.size = layer.blob.length + 1;
      });
      return undefined;
    },
  },
  {
    what: 'a manifest that says the layer is shorter than it is',
    words: /sent more than the \d+ bytes/,
    reference: 'app:wrong',
    arrange: () => {
      misdescribed(({ layers }) => {
        layers[0]!.size = layer.blob.length - 1;
      });
      return undefined;
    },
  },
  {
    what: '401 without a challenge',
    words: /authorization failed.*HTTP 401/,
    arrange: () => on('/v2/', status(401)),
  },
  {
    what: '401 with a challenge that is none',
    words: /HTTP 401/,
    arrange: () => on('/v2/', status(401, { 'WWW-Authenticate': '=,"\\" Bearer realm' })),
    credentials: password,
  },
  {
    what: '403 in words of its own',
    words: /access denied.*HTTP 403, DENIED: go away/,
    arrange: () => on('/v2/', status(403, {}, '{"errors":[{"code":"DENIED","message":"go away"}]}')),
  },
  {
    what: '403 with errors of no form',
    words: /HTTP 403\)/,
    arrange: () => on('/v2/', status(403, {}, '{"errors":[null,1]}')),
  },
  { what: '404 for the layer alone', words: /not found.*HTTP 404/, arrange: () => on(layerUrl, status(404)) },
  {
    what: '429 that asks for a thousand years',
    words: /too many requests/,
    arrange: () => on('/v2/', status(429, { 'Retry-After': '9'.repeat(300) })),
  },
  {
    what: '503 until the year 9999',
    words: /RegistryUnavailable: .*HTTP 503/,
    arrange: () => on('/v2/', status(503, { 'Retry-After': 'Fri, 31 Dec 9999 23:59:59 GMT' })),
  },
  {
    what: '503 with a date that is none',
    words: /HTTP 503/,
    arrange: () => on('/v2/', status(503, { 'Retry-After': 'soon' })),
  },
  {
    what: 'a rest of the layer from elsewhere than asked for',
    words: /sent range 7 where \d+ was asked for/,
    arrange: () => {
      let isFirst = true;
      return on(layerUrl, (response, request) => {
        if (isFirst) {
          isFirst = false;
          response.writeHead(200, { 'Content-Length': layer.blob.length });
          response.write(layer.blob.subarray(0, 100_000), () => request.socket.destroy());
        } else
          response
            .writeHead(206, { 'Content-Range': `bytes 7-${layer.blob.length - 1}/${layer.blob.length}` })
            .end(layer.blob.subarray(7));
      });
    },
  },
  {
    what: 'a layer that trickles',
    words: /fewer than 16384 bytes in 0.2 s/,
    arrange: () =>
      on(layerUrl, (response) => {
        response.writeHead(200, { 'Content-Length': layer.blob.length });
        const timer = setInterval(() => response.write('x'), 20);
        response.once('close', () => clearInterval(timer));
      }),
  },
  {
    what: 'redirects in a circle',
    words: /more than 10 redirects/,
    arrange: () =>
      on('/v2/', (response, request) => response.writeHead(307, { Location: request.url! }).end()),
  },
  {
    what: 'a redirect to a file',
    words: /refusing its redirect to file:/,
    arrange: () => on('/v2/', status(307, { Location: 'file:///etc/shadow' })),
  },
  {
    what: 'a redirect to nowhere',
    words: /redirect.*no URL/,
    arrange: () => on('/v2/', status(302, { Location: 'http://[::1' })),
  },
  {
    what: 'a manifest without end',
    words: /answer longer than \d+ bytes/,
    arrange: () => on('/manifests/', endless({}, Buffer.alloc(1 << 16, ' '))),
  },
  {
    what: 'a config without end',
    words: /answer longer than \d+ bytes/,
    arrange: () => on(`/blobs/${image.id}`, endless({}, Buffer.alloc(1 << 16, ' '))),
  },
  {
    what: 'headers of a mebibyte',
    words: /127\.0\.0\.1:\d+: .*[Hh]eader/,
    arrange: () => on('/v2/', status(200, { 'X-Long': 'x'.repeat(1 << 20) })),
  },
  {
    what: 'headers without end',
    words: /127\.0\.0\.1:\d+: /,
    arrange: () =>
      on('/v2/', (_response, request) => {
        const { socket } = request;
        socket.write('HTTP/1.1 200 OK\r\n');
        const more = () => {
          while (!socket.destroyed && socket.write('X-More: x\r\n'.repeat(100)));
          if (!socket.destroyed) socket.once('drain', more);
        };
        more();
      }),
  },
  {
    what: 'a manifest packed by Content-Encoding, a mebibyte in a kilobyte',
    words: /sent content with digest|neither an image manifest|not JSON/,
    arrange: () =>
      on(
        '/manifests/',
        status(200, { 'Content-Encoding': 'gzip' }, gzipSync(Buffer.alloc(1 << 20, ' ')).toString('latin1')),
      ),
  },
  {
    what: 'a layer that unpacks to far more than it is',
    words: /unpacks to more than/,
    reference: 'bomb:v1',
    arrange: () => {
      const bomb = testImage([layerOf(Buffer.alloc(96 << 20))]);
      void publish(registry, 'bomb', bomb, ['v1']);
      return undefined;
    },
  },
  { what: 'a token of null', words: /holds no usable token/, arrange: () => token(null) },
  { what: 'a token that is a list', words: /holds no usable token/, arrange: () => token([1]) },
  { what: 'a token that is a number', words: /holds no usable token/, arrange: () => token({ token: 5 }) },
  {
    what: 'a token of two lines',
    words: /holds no usable token/,
    arrange: () => token({ token: 'a\r\nX: y' }),
  },
  {
    what: 'a token of a megabyte',
    words: /holds no usable token/,
    arrange: () => token({ token: 'a'.repeat(1_000_000) }),
  },
  {
    what: 'a token server that sends pages',
    words: /is not JSON/,
    arrange: () => tokenServer(status(200, {}, '<html>')),
  },
  {
    what: 'a token without end',
    words: /answer longer than \d+ bytes/,
    arrange: () => tokenServer(endless({}, Buffer.alloc(1 << 16, ' '))),
  },
  {
    what: 'a token server of another protocol',
    words: /names "ftp:\/\/x\/" as its token server/,
    arrange: () => tokenServer(status(200), 'ftp://x/'),
  },
  {
    what: 'a token server that is no address',
    words: /names "a b" as its token server/,
    arrange: () => tokenServer(status(200), 'a b'),
    credentials: password,
  },
  {
    what: 'a token server elsewhere, without TLS, that wants the password',
    words: /refusing to send credentials to http:\/\/tokens\.example without TLS/,
    arrange: () => tokenServer(status(200), 'http://tokens.example/token'),
    credentials: password,
  },
  {
    what: 'a token that the registry then refuses',
    words: /authorization failed/,
    arrange: () => token({ token: 'bad', expires_in: 1e308 }),
    credentials: password,
  },
  {
    what: 'a web page in the place of a manifest',
    words: /not JSON/,
    reference: 'app:page',
    arrange: () => {
      registry.putManifest('app', 'page', Buffer.from('<html></html>'), 'text/html');
      registry.putManifest('app', digestOf('<html></html>'), Buffer.from('<html></html>'), 'text/html');
      return undefined;
    },
  },
  {
    what: 'a manifest that says it is a list',
    words: /neither an image manifest nor an index|not JSON|manifest/,
    reference: 'app:odd',
    arrange: () => {
      registry.addManifest(
        'app',
        { mediaType: mediaTypes.ociIndex, manifests: 5 },
        ['odd'],
        mediaTypes.ociIndex,
      );
      return undefined;
    },
  },
  {
    what: 'a layer of no known kind',
    words: /media type|not supported|tar header|archive/i,
    reference: 'odd:v1',
    arrange: () => {
      const odd: TestImage = testImage([
        { ...layerOf(Buffer.from('no archive at all'), 'none'), mediaType: 'text/x' },
      ]);
      void publish(registry, 'odd', odd, ['v1']);
      return undefined;
    },
  },
];

describe('a pull fails with words and leaves nothing, and the next one works:', () => {
  it.each(faults.map((fault) => [fault.what, fault] as const))('%s', async (_what, fault) => {
    if (fault.reference === 'bomb:v1')
      await bench.reopen({
        retryGraceMs: 0,
        resumableBytes: 16 << 20,
        transfer,
        limits: { layerBytes: 8 << 20, layerEntries: 1000, freeBytes: 0 },
      });
    const interceptor = fault.arrange();
    if (interceptor) registry.intercept = interceptor;
    const failing = pull(fault.reference, fault.credentials);
    await expect(failing).rejects.toMatchObject({
      kind: expect.stringMatching(/^(Unknown|ResourceExhausted)$/),
      message: expect.stringMatching(fault.words),
    });
    const message = await failing.then(String, (error: Error) => error.message);
    expect(message.length).toBeLessThan(2000);
    expect(message).not.toMatch(/hunter2|dXNlcjpodW50ZXIy/);
    await vi.waitFor(() => expect(bench.leftovers()).toEqual([]));
    expect(bench.images.list()).toEqual([]);
    registry.intercept = () => false;
    expect((await pull()).id).toBe(image.id);
  });
});

describe('a pull goes on', () => {
  it('when a server that was busy says when, in seconds or by a date', async () => {
    for (const after of ['0', new Date(Date.now() + 50).toUTCString(), 'Thu, 01 Jan 1970 00:00:00 GMT']) {
      let refusals = 2;
      registry.intercept = (request, response) => {
        if (!request.url!.includes(layerUrl) || refusals-- <= 0) return false;
        response.writeHead(503, { 'Retry-After': after }).end();
        return true;
      };
      expect((await pull()).id).toBe(image.id);
      await bench.images.remove(image.id);
      await bench.images.settled();
    }
  });

  it('when a server ignores Range, which it was asked for after a reset', async () => {
    let count = 0;
    registry.intercept = on(layerUrl, (response, request) => {
      count += 1;
      delete request.headers.range;
      if (count > 1) return serveBlob(request, response, layer.blob);
      response.writeHead(200, { 'Content-Length': layer.blob.length });
      response.write(layer.blob.subarray(0, 100_000), () => request.socket.destroy());
    });
    expect((await pull()).id).toBe(image.id);
    expect(count).toBe(2);
  });

  it('elsewhere, where neither password nor token follows: of blobs and of tokens', async () => {
    const elsewhere = await ScriptedRegistry.start();
    undo.push(() => elsewhere.stop());
    elsewhere.intercept = on('', (response, request) => {
      if (request.url!.includes('/token')) response.end(JSON.stringify({ token: 'good' }));
      else serveBlob(request, response, layer.blob);
    });
    const moved = tokenServer((response, request) =>
      request.method === 'POST'
        ? response.writeHead(405).end()
        : response.writeHead(307, { Location: `http://${elsewhere.host}/token` }).end(),
    );
    registry.intercept = (request, response, body) => {
      if (moved(request, response, body)) return true;
      if (!request.url!.includes(layerUrl)) return false;
      response.writeHead(307, { Location: `http://${elsewhere.host}${request.url}` }).end();
      return true;
    };
    expect((await pull('app:v1', password)).id).toBe(image.id);
    expect(elsewhere.seen.length).toBeGreaterThan(1);
    for (const { headers, url } of elsewhere.seen)
      expect(`${JSON.stringify(headers)} ${url}`).not.toMatch(/hunter2|dXNlcjpodW50ZXIy|good|authorization/i);
  });
});

it('a redirect from TLS to plain HTTP is refused', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'downgrade-'));
  undo.push(() => rmSync(directory, { recursive: true }));
  const subject = ['-subj', '/CN=x', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2', '-nodes'];
  const [key, cert] = [join(directory, 'key'), join(directory, 'cert')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  execFileSync('openssl', ['req', '-x509', ...curve, ...subject, '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  });
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_request, response) =>
    response.writeHead(307, { Location: 'http://plain.example/v2/app/manifests/v1' }).end(),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  undo.push(() => new Promise((resolve) => server.close(resolve)));
  const name = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new RegistryClient({
    domain: name,
    repository: 'app',
    hosts: [
      {
        origin: `https://${name}`,
        path: '/v2',
        name,
        isMirror: false,
        capabilities: new Set(capabilities),
        ca: [readFileSync(cert)],
        clients: [],
        skipVerify: false,
        headers: {},
        dialTimeoutMs: undefined,
      },
    ],
    secretFor: () => undefined,
    limits: { ...defaultTransferLimits, ...transfer },
    proxy: {},
    userAgent: 'berth-test',
    now: Date.now,
  });
  await expect(client.resolve('v1', never)).rejects.toThrow(
    /refusing its redirect to http:\/\/plain\.example/,
  );
  client.close();
});
