import { mkdtempSync, rmSync } from 'node:fs';
import { type ClientHttp2Session, connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import pino from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encode } from '#proto/codec.ts';
import { ContainerEvents } from './events.ts';
import { criHandlers } from './handlers.ts';
import { CriServer } from './server.ts';
import { type FakeServices, fakeServices } from './testing/fake-services.ts';

let dir: string;
let services: FakeServices;
let server: CriServer;
let session: ClientHttp2Session;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'berth-unary-'));
  const socket = join(dir, 's');
  services = fakeServices();
  const events = new ContainerEvents(services, { maxQueued: 20 });
  server = new CriServer({ handlers: criHandlers(services, events), log: pino({ level: 'silent' }) });
  server.readiness.open();
  await server.listen({ path: socket, mode: 0o600, group: 0 });
  session = connectHttp2('http://localhost', { createConnection: () => connect(socket) });
});

afterEach(async () => {
  session.destroy();
  await server.drain(0);
  rmSync(dir, { recursive: true, force: true });
});

const framed = (body: Buffer): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
};

interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A call as it is on the wire. */
function ask(method: string, frames: readonly Buffer[], more: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': `/runtime.v1.RuntimeService/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...more,
    });
    let headers: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    const chunks: Buffer[] = [];
    stream.on('response', (got) => {
      headers = got;
    });
    stream.on('trailers', (got) => {
      trailers = got;
    });
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('close', () => resolve({ headers, trailers, body: Buffer.concat(chunks) }));
    for (const frame of frames) stream.write(frame);
    stream.end();
  });
}

const version = framed(encode('VersionRequest', {}));
const stop = framed(encode('StopContainerRequest', { container_id: 'c' }));

test('a reply has the headers that gRPC wants, and no others', async () => {
  const { headers, trailers, body } = await ask('Version', [version]);
  expect(Object.entries(headers)).toEqual([
    [':status', 200],
    ['content-type', 'application/grpc+proto'],
  ]);
  expect(Object.entries(trailers)).toEqual([['grpc-status', '0']]);
  expect(body.readUInt32BE(1)).toBe(body.length - 5);
});

test('an error is told in the headers, with its words', async () => {
  const { headers, body } = await ask('StopContainer', [framed(Buffer.alloc(0))]);
  expect(headers).toMatchObject({
    ':status': 200,
    'grpc-status': String(status.INVALID_ARGUMENT),
    'grpc-message': 'invalid%20request:%20container_id%20is%20empty',
  });
  expect(body).toHaveLength(0);
});

test('no request message and a second one are Unimplemented', async () => {
  for (const frames of [[], [version, version]]) {
    const { headers } = await ask('Version', frames);
    expect(headers['grpc-status']).toBe(String(status.UNIMPLEMENTED));
  }
});

test('a reply that is too large is its only answer', async () => {
  services.containers.execSync = async () => ({
    stdout: Buffer.alloc(17 << 20),
    stderr: Buffer.alloc(0),
    exitCode: 0,
  });
  const request = framed(encode('ExecSyncRequest', { container_id: 'c', cmd: ['x'] }));
  const { trailers, body } = await ask('ExecSync', [request]);
  expect(trailers['grpc-status']).toBe(String(status.RESOURCE_EXHAUSTED));
  expect(body).toHaveLength(0);
});

test('a call that was answered is not given up afterwards, one whose deadline passes is', async () => {
  const signals: AbortSignal[] = [];
  services.containers.stop = async (_id, _timeoutMs, signal) => {
    signals.push(signal);
  };
  await ask('StopContainer', [stop]);
  services.containers.stop = (_id, _timeoutMs, signal) => {
    signals.push(signal);
    return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  };
  const { headers } = await ask('StopContainer', [stop], { 'grpc-timeout': '30m' });
  expect(headers['grpc-status']).toBe(String(status.DEADLINE_EXCEEDED));
  expect(signals.map(({ reason }) => reason?.kind)).toEqual([undefined, 'DeadlineExceeded']);
  expect(server.callsInFlight).toBe(0);
});

/** Fails when an update of grpc-js keeps deadlines in another way: then calls have a timer each again (deadlines.ts). */
test('a call with a deadline takes no timer of its own', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  let during: number | undefined;
  services.containers.stop = async () => {
    during = timers();
  };
  await ask('StopContainer', [stop]);
  const without = during;
  await ask('StopContainer', [stop], { 'grpc-timeout': '77S' });
  expect(during).toBe(without);
});
