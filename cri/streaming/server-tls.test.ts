import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isRuntimeError } from '#base/errors.ts';
import type { ContainerId } from '#runtime/container/config.ts';
import { StreamingServer, type StreamingTls } from './server.ts';
import { LocalProvider } from './testing/local-provider.ts';
import { SpdyClient } from './testing/spdy-client.ts';

let folder = '';

/** A self-signed key pair for `name`, as PEM texts. */
function keyPair(name: string): { key: string; cert: string } {
  const file = (suffix: string) => join(folder, `${name}.${suffix}`);
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file('key')];
  execFileSync('openssl', ['req', '-x509', ...key, '-out', file('crt'), '-days', '2', ...subject], {
    stdio: 'ignore',
  });
  return { key: readFileSync(file('key'), 'utf8'), cert: readFileSync(file('crt'), 'utf8') };
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'streaming-tls-'));
  writeFileSync(join(folder, 'keep'), '');
});
afterAll(() => rmSync(folder, { recursive: true }));

async function start(tls: StreamingTls): Promise<StreamingServer> {
  const server = new StreamingServer({ provider: new LocalProvider(), log: pino({ level: 'silent' }), tls });
  await server.listen();
  return server;
}

/** Runs `cat` in one exec session; resolves with what came back and the name on the server's certificate. */
async function exec(server: StreamingServer, client: { key?: string; cert?: string } = {}) {
  const url = new URL(
    server.execUrl({
      containerId: 'c1' as ContainerId,
      command: ['cat'],
      stdin: true,
      stdout: true,
      stderr: false,
      tty: false,
    }),
  );
  expect(url.protocol).toBe('https:');
  const socket = connect({
    host: url.hostname,
    port: Number(url.port),
    rejectUnauthorized: false,
    ...client,
  });
  const received = await new Promise<Buffer>((resolve, reject) => {
    socket.on('error', reject);
    socket.once('close', () => reject(new Error('closed')));
    socket.once('data', resolve);
    socket.write(
      `POST ${url.pathname} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n` +
        'X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n',
    );
  });
  expect(received.toString()).toMatch(/^HTTP\/1\.1 101 /);
  const spdy = new SpdyClient(socket, received.subarray(received.indexOf('\r\n\r\n') + 4));
  await spdy.stream({ streamtype: 'error' });
  const stdin = await spdy.stream({ streamtype: 'stdin' });
  const stdout = await spdy.stream({ streamtype: 'stdout' });
  stdin.write(Buffer.alloc(4 * 1024 * 1024, 'secret'));
  stdin.end();
  const text = await stdout.all();
  const name = (socket as TLSSocket).getPeerCertificate().subject?.CN;
  await spdy.closed;
  return { bytes: text.length, name };
}

test('serves over TLS, and another key pair for the next connection without a restart', async () => {
  const server = await start(keyPair('first'));
  expect(await exec(server)).toEqual({ bytes: 4 * 1024 * 1024, name: 'first' });
  server.setTls(keyPair('second'));
  expect((await exec(server)).name).toBe('second');
  expect(() => server.setTls({ key: 'nonsense', cert: 'nonsense' })).toThrow(
    expect.toSatisfy((error) => isRuntimeError(error, 'InvalidArgument')),
  );
  expect((await exec(server)).name).toBe('second');
  await server.close();
});

test('with a client CA, only clients with its certificate are served', async () => {
  const client = keyPair('client');
  const server = await start({ ...keyPair('server'), clientCa: client.cert });
  await expect(exec(server)).rejects.toThrow();
  await expect(exec(server, keyPair('stranger'))).rejects.toThrow();
  expect((await exec(server, client)).name).toBe('server');
  await server.close();
});
