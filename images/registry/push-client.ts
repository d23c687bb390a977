/**
 * One repository of one registry, to push to (OCI distribution-spec, Push). The host is the first of those that may be
 * pushed to that answers at all. A blob goes up in one request where it is small, in chunks where it is large, so that after a
 * broken connection it is gone on with where the registry stands.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { abortError, RuntimeError } from '#base/errors.ts';
import type { Digest } from '../contract.ts';
import { Authorizer, type Grants } from './auth.ts';
import type { RegistryClientOptions } from './client.ts';
import { describeStatus, noHostLeft, parseRetryAfter, RegistryFailure } from './errors.ts';
import type { RegistryHost } from './hosts.ts';
import { type BodyStream, type HttpRequest, type HttpResponse, Transport } from './transport.ts';

export interface PushClientOptions extends RegistryClientOptions {
  /** Repositories of this registry that blobs may be mounted from: a token must let us read them. */
  readonly mountFrom: readonly string[];
  /** Up to this size a blob goes up in one request, larger ones in pieces of it. Default 32 MiB. */
  readonly chunkBytes?: number;
}

export interface BlobUpload {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly path: string;
}

const errorBodyLimitBytes = 64 << 10;
const defaultChunkBytes = 32 << 20;
const pieceBytes = 256 << 10;

/** Where an upload stands. */
interface Session {
  url: string;
  offset: number;
  readonly chunkBytes: number;
}

export class PushClient {
  readonly #options: PushClientOptions;
  readonly #transport: Transport;
  readonly #auth: Authorizer;
  readonly #name: string;
  #host: Promise<RegistryHost> | undefined;

  constructor(options: PushClientOptions) {
    this.#options = options;
    const { domain, repository, limits, proxy, userAgent, secretFor, now, mountFrom } = options;
    this.#name = `${domain}/${repository}`;
    this.#transport = new Transport({ limits, proxy, userAgent });
    const scopes =
      repository === ''
        ? []
        : [`repository:${repository}:pull,push`, ...mountFrom.map((from) => `repository:${from}:pull`)];
    this.#auth = new Authorizer({
      transport: this.#transport,
      repository,
      secretFor,
      now,
      grants: options.grants,
      scopes,
    });
  }

  grants(): Grants {
    return this.#auth.grants();
  }

  close(): void {
    this.#transport.close();
  }

  /** Throws Unauthenticated unless the registry takes our credentials; Unknown if it cannot be asked. */
  async checkLogin(signal: AbortSignal): Promise<void> {
    const attempted = `logging in to ${this.#options.domain}`;
    await this.#persist(attempted, signal, async (host) => {
      const response = await this.#send(
        host,
        { method: 'GET', url: `${host.origin}/v2/`, headers: {} },
        signal,
      );
      if (response.status === 401 || response.status === 403) {
        response.discard();
        throw new RuntimeError('Unauthenticated', `${attempted}: user name or password is wrong`);
      }
      await this.#expect(response, host, [200]);
      response.discard();
    });
  }

  /** Whether the repository has this blob. Errors: Unknown, Canceled. */
  async hasBlob(digest: Digest, signal: AbortSignal): Promise<boolean> {
    return this.#persist(`asking ${this.#name} for blob ${digest}`, signal, async (host) => {
      const url = `${this.#base(host)}/blobs/${digest}`;
      const response = await this.#send(host, { method: 'HEAD', url, headers: {} }, signal);
      response.discard();
      if (response.status !== 200 && response.status !== 404) await this.#expect(response, host, [200]);
      return response.status === 200;
    });
  }

  /** Has the registry take a blob over from another of its repositories; false if it does not. Errors: Unknown, Canceled. */
  async mountBlob(digest: Digest, from: string, signal: AbortSignal): Promise<boolean> {
    return this.#persist(`mounting blob ${digest} of ${from} in ${this.#name}`, signal, async (host) => {
      const query = new URLSearchParams({ mount: digest, from });
      const url = `${this.#base(host)}/blobs/uploads/?${query}`;
      const response = await this.#send(host, { method: 'POST', url, headers: {} }, signal);
      response.discard();
      if (response.status !== 202) return response.status === 201;
      // It began an upload instead, which nobody will go on with.
      const { location } = response.headers;
      if (location !== undefined) {
        const upload = { method: 'DELETE', url: new URL(location, url).href, headers: {} } as const;
        (await this.#send(host, upload, signal).catch(() => undefined))?.discard(); // it expires by itself
      }
      return false;
    });
  }

  /** Uploads a blob. Errors: Unknown, Canceled. `onBytes` is told of the bytes sent so far. */
  async upload(blob: BlobUpload, onBytes: (bytes: number) => void, signal: AbortSignal): Promise<void> {
    const attempted = `uploading ${blob.digest} to ${this.#name}`;
    let session: Session | undefined;
    await this.#persist(
      attempted,
      signal,
      async (host) => {
        session = session && (await this.#resume(host, session, signal));
        session ??= await this.#begin(host, signal);
        while (blob.sizeBytes - session.offset > session.chunkBytes)
          await this.#sendChunk(host, session, blob, onBytes, signal);
        const url = new URL(session.url);
        url.searchParams.set('digest', blob.digest);
        const request = this.#bodyRequest('PUT', url.href, blob, session.offset, blob.sizeBytes, onBytes);
        const response = await this.#send(host, request, signal);
        if (response.status === 404 || response.status === 416) session = undefined;
        await this.#expect(response, host, [201, 204]);
        response.discard();
      },
      () => session?.offset ?? 0,
    );
  }

  /** Stores a manifest under a tag or its digest. Errors: Unknown, Canceled. */
  async putManifest(reference: string, body: Buffer, mediaType: string, signal: AbortSignal): Promise<void> {
    await this.#persist(`pushing manifest ${this.#name}:${reference}`, signal, async (host) => {
      const url = `${this.#base(host)}/manifests/${reference}`;
      const headers = { 'Content-Type': mediaType };
      const response = await this.#send(host, { method: 'PUT', url, headers, body }, signal);
      await this.#expect(response, host, [200, 201, 202]);
      response.discard();
    });
  }

  #base(host: RegistryHost): string {
    return `${host.origin}${host.path}/${host.repository ?? this.#options.repository}`;
  }

  async #begin(host: RegistryHost, signal: AbortSignal): Promise<Session> {
    const url = `${this.#base(host)}/blobs/uploads/`;
    const response = await this.#send(host, { method: 'POST', url, headers: {} }, signal);
    await this.#expect(response, host, [202]);
    response.discard();
    const least = Number(response.headers['oci-chunk-min-length'] ?? 0);
    const chunkBytes = Math.max(this.#options.chunkBytes ?? defaultChunkBytes, least || 0);
    return { url: nextUrl(response, url, host), offset: 0, chunkBytes };
  }

  /** Where the registry says that the upload stands; undefined if it has forgotten it. */
  async #resume(host: RegistryHost, session: Session, signal: AbortSignal): Promise<Session | undefined> {
    const response = await this.#send(host, { method: 'GET', url: session.url, headers: {} }, signal);
    response.discard();
    const end = /^(?:bytes=)?0-(\d+)$/.exec(response.headers.range ?? '')?.[1];
    if (response.status !== 204 && response.status !== 202 && response.status !== 200) return undefined;
    if (end === undefined) return undefined;
    // `0-0` is said of an upload without a byte too: to begin anew costs one byte at most.
    if (end === '0') return undefined;
    return { ...session, url: nextUrl(response, session.url, host), offset: Number(end) + 1 };
  }

  async #sendChunk(
    host: RegistryHost,
    session: Session,
    blob: BlobUpload,
    onBytes: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { offset } = session;
    const end = Math.min(blob.sizeBytes, offset + session.chunkBytes);
    const request = this.#bodyRequest('PATCH', session.url, blob, offset, end, onBytes);
    const headers = { ...request.headers, 'Content-Range': `${offset}-${end - 1}` };
    const response = await this.#send(host, { ...request, headers }, signal);
    await this.#expect(response, host, [202, 201, 204]);
    response.discard();
    session.url = nextUrl(response, session.url, host);
    session.offset = end;
  }

  #bodyRequest(
    method: 'PUT' | 'PATCH',
    url: string,
    blob: BlobUpload,
    start: number,
    end: number,
    onBytes: (bytes: number) => void,
  ): HttpRequest {
    const body: BodyStream = {
      sizeBytes: end - start,
      read: () => piecesOf(blob.path, start, end),
      onSent: (bytes) => onBytes(start + bytes),
    };
    return { method, url, headers: { 'Content-Type': 'application/octet-stream' }, body };
  }

  /** The first host that answers, found once. */
  async #chooseHost(attempted: string, signal: AbortSignal): Promise<RegistryHost> {
    const failures: RegistryFailure[] = [];
    for (const host of this.#options.hosts)
      try {
        const request = { method: 'GET', url: `${host.origin}/v2/`, headers: {} } as const;
        (await this.#transport.request(request, host, signal)).discard();
        return host;
      } catch (error) {
        if (!(error instanceof RegistryFailure)) throw error;
        failures.push(error);
      }
    throw noHostLeft(attempted, failures);
  }

  /** Tries `work` until it succeeds, fails for good, or too often. A try after which `sent` has grown starts the count anew. */
  async #persist<T>(
    attempted: string,
    signal: AbortSignal,
    work: (host: RegistryHost) => Promise<T>,
    sent: () => number = () => 0,
  ): Promise<T> {
    this.#host ??= this.#chooseHost(attempted, signal);
    const host = await this.#host;
    const { attempts, retryDelayMs, longestDelayMs } = this.#options.limits;
    let failed = 0;
    for (;;) {
      const before = sent();
      try {
        return await work(host);
      } catch (error) {
        if (!(error instanceof RegistryFailure)) throw error;
        const failure = error.withMessage(this.#auth.redact(host, error.message));
        failed = sent() > before ? 1 : failed + 1;
        const isWorthIt =
          error.isTransient || error.type === 'stalled' || (error.status === 416 && failed < 3);
        if (!isWorthIt || failed >= attempts) throw noHostLeft(attempted, [failure]);
        const waitMs = Math.min(error.retryAfterMs ?? retryDelayMs * 2 ** (failed - 1), longestDelayMs);
        await delay(waitMs, undefined, { signal }).catch(() => {
          throw abortError(signal, attempted);
        });
      }
    }
  }

  /** One request with what authorization is known; answers a 401 up to twice. Tokens and headers go to the host itself only. */
  async #send(host: RegistryHost, request: HttpRequest, signal: AbortSignal): Promise<HttpResponse> {
    const isOwn = new URL(request.url).origin === host.origin;
    for (let attempt = 0; ; attempt += 1) {
      const authorization = isOwn ? this.#auth.headerFor(host) : undefined;
      const headers = {
        ...(isOwn && host.headers),
        ...request.headers,
        ...(authorization !== undefined && { Authorization: authorization }),
      };
      const response = await this.#transport.request(
        { ...request, headers },
        isOwn ? host : undefined,
        signal,
      );
      const challenge = response.headers['www-authenticate'];
      if (response.status !== 401 || attempt >= 2 || challenge === undefined || !isOwn) return response;
      if (attempt === 1 && authorization === undefined) return response;
      if (!(await this.#auth.answer(host, challenge, authorization, signal))) return response;
      response.discard();
    }
  }

  async #expect(response: HttpResponse, host: RegistryHost, accepted: readonly number[]): Promise<void> {
    if (accepted.includes(response.status)) return;
    const body = await response.text(errorBodyLimitBytes).catch(() => Buffer.alloc(0));
    const retryAfterMs = parseRetryAfter(response.headers['retry-after'], this.#options.now());
    const words = describeStatus(response.status, body.toString('utf8'))
      .replace('check the image pull secret and its rights', 'this account may not push here')
      .replace('check the image pull secret', 'log in with `berth login`');
    throw new RegistryFailure('status', `${host.name}: ${words}`, { status: response.status, retryAfterMs });
  }
}

function nextUrl(response: HttpResponse, current: string, host: RegistryHost): string {
  const { location } = response.headers;
  if (location === undefined) return current;
  if (!URL.canParse(location, current))
    throw new RegistryFailure('mismatch', `${host.name}: names no URL to upload to`);
  const next = new URL(location, current);
  // A registry behind a proxy may not know that it is reached by TLS.
  if (
    next.protocol === 'http:' &&
    current.startsWith('https:') &&
    next.hostname === new URL(current).hostname
  )
    next.protocol = 'https:';
  return next.href;
}

function* piecesOf(path: string, start: number, end: number): Generator<Buffer> {
  const fd = openSync(path, 'r');
  try {
    for (let at = start; at < end; ) {
      const chunk = Buffer.allocUnsafe(Math.min(pieceBytes, end - at));
      const length = readSync(fd, chunk, 0, chunk.length, at);
      if (length === 0) throw new Error(`${path} ends after ${at} of ${end} bytes`);
      at += length;
      yield chunk.subarray(0, length);
    }
  } finally {
    closeSync(fd);
  }
}
