/** A registry for tests that answers well unless told otherwise, and remembers what it was asked. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { digestOf } from '../digest.ts';
import { mediaTypes } from '../manifest.ts';
import type { ImageTarget } from './test-image.ts';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
}

/** Looks at a request first; true if it has answered (or broken) it. */
export type Interceptor = (request: IncomingMessage, response: ServerResponse, body: Buffer) => boolean;

export class ScriptedRegistry implements ImageTarget {
  readonly seen: SeenRequest[] = [];
  readonly blobs = new Map<string, Buffer>();
  /** By `NAME/TAG` and `NAME/DIGEST`. */
  readonly manifests = new Map<string, { body: Buffer; mediaType: string }>();
  intercept: Interceptor = () => false;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<ScriptedRegistry> {
    const server = createServer();
    const registry = new ScriptedRegistry(server);
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => registry.#handle(request, response, Buffer.concat(chunks)));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return registry;
  }

  /** `127.0.0.1:PORT`. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  addBlob(content: Buffer): { digest: string; size: number } {
    const digest = digestOf(content);
    this.blobs.set(digest, content);
    return { digest, size: content.length };
  }

  /** Adds a manifest under its digest and `tags`; returns the digest. */
  addManifest(
    name: string,
    manifest: object,
    tags: readonly string[],
    mediaType: string = mediaTypes.ociManifest,
  ): string {
    const body = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...manifest }));
    const digest = digestOf(body);
    for (const key of [digest, ...tags]) this.manifests.set(`${name}/${key}`, { body, mediaType });
    return digest;
  }

  putBlob(_name: string, content: Buffer): void {
    this.addBlob(content);
  }

  putManifest(name: string, reference: string, body: Buffer, mediaType: string): void {
    this.manifests.set(`${name}/${reference}`, { body, mediaType });
  }

  /** Requests whose URL contains `part`. */
  requests(part: string, method?: string): SeenRequest[] {
    return this.seen.filter(
      (request) => request.url.includes(part) && (!method || request.method === method),
    );
  }

  #handle(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
    const url = request.url ?? '';
    this.seen.push({ method: request.method ?? '', url, headers: request.headers });
    if (this.intercept(request, response, body)) return;
    const [, name, kind, key] = /^\/v2\/(.+)\/(manifests|blobs)\/([^?]+)/.exec(url) ?? [];
    const found =
      kind === 'blobs'
        ? this.blobs.get(key!)
        : kind === 'manifests'
          ? this.manifests.get(`${name}/${key}`)
          : undefined;
    if (!found) {
      response
        .writeHead(404)
        .end(JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }] }));
      return;
    }
    if (Buffer.isBuffer(found)) serveBlob(request, response, found);
    else {
      response.writeHead(200, {
        'Content-Type': found.mediaType,
        'Content-Length': found.body.length,
        'Docker-Content-Digest': digestOf(found.body),
      });
      response.end(request.method === 'HEAD' ? undefined : found.body);
    }
  }
}

/** Sends a blob, or the part that Range asks for. */
export function serveBlob(request: IncomingMessage, response: ServerResponse, blob: Buffer): void {
  const start = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
  if (start > 0) {
    response.writeHead(206, {
      'Content-Length': blob.length - start,
      'Content-Range': `bytes ${start}-${blob.length - 1}/${blob.length}`,
    });
  } else response.writeHead(200, { 'Content-Length': blob.length });
  response.end(blob.subarray(start));
}
