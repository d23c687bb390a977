/** Uploads to a registry whose connections break: nothing is sent twice that it has, and what it has in the end is right. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Digest } from '../contract.ts';
import { digestOf } from '../digest.ts';
import { defaultHost } from './hosts.ts';
import { PushClient } from './push-client.ts';
import { defaultTransferLimits } from './transport.ts';

const never = new AbortController().signal;
const chunkBytes = 1 << 20;

/** A registry with one upload at a time. */
class BreakingRegistry {
  readonly server: Server;
  readonly blobs = new Map<string, Buffer>();
  readonly asked: string[] = [];
  /** Requests with a body that are cut off after this many bytes; taken from the front. */
  readonly cuts: number[] = [];
  knowsRange = true;
  receivedBytes = 0;
  #upload = Buffer.alloc(0);
  manifest: { readonly type: string | undefined; readonly body: string } | undefined;

  constructor() {
    this.server = createServer((request, response) => this.#answer(request, response));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url!, 'http://registry');
    this.asked.push(`${request.method} ${url.pathname}`);
    const end = (status: number, headers: Record<string, string> = {}) =>
      response.writeHead(status, headers).end();
    if (url.pathname === '/v2/') return void end(200);
    if (request.method === 'HEAD') {
      const known = this.blobs.has(url.pathname.split('/').at(-1)!);
      return void end(known ? 200 : 404);
    }
    if (request.method === 'POST') {
      if (url.searchParams.get('from') === 'team/other') return void end(201);
      this.#upload = Buffer.alloc(0);
      return void end(202, { Location: '/v2/team/app/blobs/uploads/1?state=a' });
    }
    if (request.method === 'GET') {
      if (!this.knowsRange || this.#upload.length === 0) return void end(404);
      return void end(204, { Range: `0-${this.#upload.length - 1}`, Location: `${url.pathname}?state=b` });
    }
    const cut = this.cuts.shift();
    const chunks: Buffer[] = [];
    let received = 0;
    request.on('error', () => {});
    request.on('data', (chunk: Buffer) => {
      received += chunk.length;
      this.receivedBytes += chunk.length;
      chunks.push(chunk);
      if (cut === undefined || received < cut) return;
      this.#upload = Buffer.concat([this.#upload, ...chunks]);
      chunks.length = 0;
      request.socket.destroy();
    });
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      if (url.pathname.includes('/manifests/')) {
        this.manifest = { type: request.headers['content-type'], body: body.toString() };
        return end(201);
      }
      const range = /^(\d+)-/.exec(request.headers['content-range'] ?? '')?.[1];
      if (range !== undefined && Number(range) !== this.#upload.length) return end(416);
      this.#upload = Buffer.concat([this.#upload, body]);
      if (request.method === 'PATCH') return end(202, { Location: `${url.pathname}?state=c` });
      const digest = `sha256:${createHash('sha256').update(this.#upload).digest('hex')}`;
      if (digest !== url.searchParams.get('digest') || !url.searchParams.has('state')) return end(400);
      this.blobs.set(digest, this.#upload);
      end(201);
    });
  }
}

let registry: BreakingRegistry;
let client: PushClient;
let dir: string;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'push-'));
  registry = new BreakingRegistry();
  await new Promise<void>((resolve) => registry.server.listen(0, '127.0.0.1', resolve));
  const domain = `127.0.0.1:${(registry.server.address() as AddressInfo).port}`;
  client = new PushClient({
    domain,
    repository: 'team/app',
    mountFrom: ['team/other'],
    hosts: [defaultHost(domain)],
    secretFor: () => undefined,
    limits: { ...defaultTransferLimits, retryDelayMs: 1 },
    proxy: {},
    userAgent: 'test',
    now: Date.now,
    chunkBytes,
  });
});
afterEach(async () => {
  client.close();
  registry.server.closeAllConnections();
  await new Promise((resolve) => registry.server.close(resolve));
  rmSync(dir, { recursive: true, force: true });
});

function blobOf(sizeBytes: number): { path: string; content: Buffer; digest: Digest; sizeBytes: number } {
  const content = Buffer.alloc(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 4) content.writeUInt32LE((at * 2654435761) % 2 ** 32, at);
  const path = join(dir, 'blob');
  writeFileSync(path, content);
  return { path, content, digest: digestOf(content), sizeBytes };
}

test('a small blob goes up in one request, a large one in chunks, and progress is told', async () => {
  const small = blobOf(1000);
  await client.upload(small, () => {}, never);
  expect(registry.blobs.get(small.digest)).toEqual(small.content);
  expect(registry.asked.filter((line) => line.startsWith('PATCH'))).toEqual([]);
  const large = blobOf(3 * chunkBytes + 500);
  const told: number[] = [];
  await client.upload(large, (bytes) => told.push(bytes), never);
  expect(registry.blobs.get(large.digest)?.equals(large.content)).toBe(true);
  expect(registry.asked.filter((line) => line.startsWith('PATCH'))).toHaveLength(3);
  expect(told.at(-1)).toBe(large.sizeBytes);
  expect(told.toSorted((a, b) => a - b)).toEqual(told);
  expect(await client.hasBlob(large.digest, never)).toBe(true);
  expect(await client.hasBlob(digestOf('x'), never)).toBe(false);
});

test('after a broken connection it goes on where the registry stands', async () => {
  const blob = blobOf(4 * chunkBytes);
  registry.cuts.push(chunkBytes + 1, 400_000, 300_000);
  await client.upload(blob, () => {}, never);
  expect(registry.blobs.get(blob.digest)?.equals(blob.content)).toBe(true);
  // One begin, and no byte that the registry had was sent again.
  expect(registry.asked.filter((line) => line.startsWith('POST'))).toHaveLength(1);
  expect(registry.receivedBytes).toBeLessThan(blob.sizeBytes + chunkBytes);
});

test('where the registry has forgotten the upload it begins anew, and gives up in the end', async () => {
  const blob = blobOf(2 * chunkBytes);
  registry.knowsRange = false;
  registry.cuts.push(1000);
  await client.upload(blob, () => {}, never);
  expect(registry.blobs.get(blob.digest)?.equals(blob.content)).toBe(true);
  registry.cuts.push(...Array.from({ length: 50 }, () => 1000));
  await expect(client.upload(blobOf(2 * chunkBytes + 4), () => {}, never)).rejects.toMatchObject({
    kind: 'Unknown',
  });
});

test('blobs are taken over from other repositories, and a manifest says what it is', async () => {
  expect(await client.mountBlob(digestOf('x'), 'team/other', never)).toBe(true);
  expect(await client.mountBlob(digestOf('x'), 'team/else', never)).toBe(false);
  await client.putManifest('1', Buffer.from('{}'), 'application/vnd.oci.image.manifest.v1+json', never);
  expect(registry.manifest).toEqual({ type: 'application/vnd.oci.image.manifest.v1+json', body: '{}' });
});
