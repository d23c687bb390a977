import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer, request as httpRequest, type Server } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digestOf } from '../digest.ts';
import { RegistryClient } from './client.ts';
import { capabilities, type RegistryHost } from './hosts.ts';
import { defaultTransferLimits } from './transport.ts';

const manifest = Buffer.from('{"schemaVersion":2}');
let directory: string;
let secure: Server;
let plain: Server;
let isClientKnown = false;
const pem = (name: string) => readFileSync(join(directory, name));
const port = (server: Server) => (server.address() as AddressInfo).port;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tls-'));
  for (const name of ['server', 'client'])
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
        ...['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
        ...['-keyout', join(directory, `${name}.key`), '-out', join(directory, `${name}.crt`)],
      ],
      { stdio: 'ignore' },
    );
  secure = createServer(
    {
      key: pem('server.key'),
      cert: pem('server.crt'),
      ca: pem('client.crt'),
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) => {
      isClientKnown = (request.socket as unknown as { authorized: boolean }).authorized;
      response.writeHead(200, { 'Docker-Content-Digest': digestOf(manifest) }).end();
    },
  );
  plain = createHttpServer((request, response) => {
    // Also a proxy: the request names the whole URL.
    const target = new URL(request.url!, 'http://localhost');
    if (target.hostname === 'localhost')
      response.writeHead(200, { 'Docker-Content-Digest': digestOf(manifest) }).end();
    else
      httpRequest({ port: port(plain), path: target.pathname, method: request.method! }, (answer) => {
        response.writeHead(200, { ...answer.headers, 'X-Via': 'proxy' });
        answer.pipe(response);
      }).end();
  });
  for (const server of [secure, plain])
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(() => {
  for (const server of [secure, plain]) server.close();
  rmSync(directory, { recursive: true });
});

async function resolve(
  origin: string,
  host: Partial<RegistryHost>,
  proxy: Record<string, string> = {},
): Promise<string> {
  const client = new RegistryClient({
    domain: 'r.example',
    repository: 'app',
    hosts: [
      {
        origin,
        path: '/v2',
        name: new URL(origin).host,
        isMirror: false,
        capabilities: new Set(capabilities),
        ca: [],
        clients: [],
        skipVerify: false,
        headers: {},
        dialTimeoutMs: undefined,
        ...host,
      },
    ],
    secretFor: () => undefined,
    limits: defaultTransferLimits,
    proxy,
    userAgent: 'berth-test',
    now: Date.now,
  });
  try {
    return (await client.resolve('v1', new AbortController().signal)).digest;
  } finally {
    client.close();
  }
}

describe('a registry with TLS', () => {
  const https = () => `https://127.0.0.1:${port(secure)}`;

  it('is trusted by the CA that is configured for it, and told who we are', async () => {
    expect(await resolve(https(), { ca: [pem('server.crt')] })).toBe(digestOf(manifest));
    expect(isClientKnown).toBe(false);
    const clients = [{ cert: pem('client.crt'), key: pem('client.key') }];
    await resolve(https(), { ca: [pem('server.crt')], clients });
    expect(isClientKnown).toBe(true);
  });

  it('is refused without, unless verification is off', async () => {
    await expect(resolve(https(), {})).rejects.toThrow(/^RegistryUnavailable: .*certificate refused/);
    expect(await resolve(https(), { skipVerify: true })).toBe(digestOf(manifest));
  });

  it('that speaks plain HTTP in truth is named so', async () => {
    await expect(resolve(`https://127.0.0.1:${port(plain)}`, {})).rejects.toThrow(
      /does not speak TLS; plain HTTP must be allowed/,
    );
  });
});

describe('a proxy', () => {
  it('is used for hosts that are not excepted', async () => {
    const HTTP_PROXY = `http://127.0.0.1:${port(plain)}`;
    expect(await resolve('http://registry.invalid', {}, { HTTP_PROXY })).toBe(digestOf(manifest));
    await expect(
      resolve('http://registry.invalid', {}, { HTTP_PROXY, NO_PROXY: 'registry.invalid' }),
    ).rejects.toThrow(/no such host|name server/);
  });
});
