/**
 * One repository of one registry, through all hosts that serve it (OCI distribution-spec, Pull). A client lives for one
 * pull: it keeps connections and tokens, and is closed after. Everything it returns was verified against its digest,
 * but for `streamBlob`, whose bytes go to a sink that verifies them itself.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { abortError, isRuntimeError } from '#base/errors.ts';
import type { Digest } from '../contract.ts';
import { algorithmOf, digestOf, isDigest } from '../digest.ts';
import { acceptedManifests, type Descriptor, manifestLimitBytes } from '../manifest.ts';
import { Authorizer, type Grants } from './auth.ts';
import type { Secret } from './credentials.ts';
import { describeStatus, noHostLeft, parseRetryAfter, RegistryFailure } from './errors.ts';
import type { Capability, RegistryHost } from './hosts.ts';
import { type HttpResponse, type TransferLimits, Transport } from './transport.ts';

export interface RegistryClientOptions {
  /** The registry that references name: `docker.io`. */
  readonly domain: string;
  readonly repository: string;
  readonly hosts: readonly RegistryHost[];
  readonly secretFor: (host: RegistryHost) => Secret | undefined;
  readonly limits: TransferLimits;
  readonly proxy: Readonly<Record<string, string>>;
  readonly userAgent: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** What another client of the same pull has learnt. */
  readonly grants?: Grants | undefined;
}

export interface FetchedManifest {
  readonly digest: Digest;
  readonly contentType: string;
  readonly body: Buffer;
}

export interface BlobStream {
  /** Bytes that the sink has already. */
  readonly offset: number;
  /** Takes the bytes from `offset` on, in order, each once; a promise holds the sender back. */
  readonly sink: (chunk: Buffer) => Promise<void> | undefined;
  /** Origins not to ask: they served bytes that were wrong. */
  readonly excluded: ReadonlySet<string>;
}

const errorBodyLimitBytes = 64 << 10;
/** Small blobs, such as image configs, are held in memory; larger ones are refused. */
const smallBlobLimitBytes = 8 << 20;

export class RegistryClient {
  readonly #options: RegistryClientOptions;
  readonly #transport: Transport;
  readonly #auth: Authorizer;
  readonly #name: string;
  /** Insecure hosts that turned out to speak plain HTTP only. */
  readonly #plainNames = new Set<string>();

  constructor(options: RegistryClientOptions) {
    this.#options = options;
    const { limits, proxy, userAgent, repository, secretFor, now } = options;
    this.#name = `${options.domain}/${repository}`;
    this.#transport = new Transport({ limits, proxy, userAgent });
    this.#auth = new Authorizer({
      transport: this.#transport,
      repository,
      secretFor,
      now,
      grants: options.grants,
    });
  }

  grants(): Grants {
    return this.#auth.grants();
  }

  close(): void {
    this.#transport.close();
  }

  /**
   * What `tag` points at now. Asks with HEAD, which costs nothing of a registry's pull quota; the manifest comes along only
   * where the host does not tell a digest without it. Errors: Unknown, Canceled.
   */
  async resolve(
    tag: string,
    signal: AbortSignal,
  ): Promise<{ digest: Digest; manifest: FetchedManifest | undefined }> {
    const attempted = `resolving ${this.#name}:${tag}`;
    return this.#tryHosts('resolve', attempted, signal, async (host) => {
      const path = `manifests/${tag}`;
      const head = await this.#send(host, 'HEAD', path, { Accept: acceptedManifests }, signal);
      const digest = head.headers['docker-content-digest'];
      head.discard();
      if (head.status === 200 && typeof digest === 'string' && isDigest(digest))
        return { digest, manifest: undefined };
      const manifest = await this.#getManifest(host, path, undefined, signal);
      return { digest: manifest.digest, manifest };
    });
  }

  /** The manifest that `tag` points at now; undefined if the registry says that there is none. Errors: Unknown, Canceled. */
  async findByTag(tag: string, signal: AbortSignal): Promise<FetchedManifest | undefined> {
    try {
      const { digest, manifest } = await this.resolve(tag, signal);
      return manifest ?? (await this.fetchManifest(digest, signal));
    } catch (error) {
      const cause = isRuntimeError(error) ? error.cause : undefined;
      if (cause instanceof RegistryFailure && cause.status === 404) return undefined;
      throw error;
    }
  }

  /** The manifest or index with this digest, verified. Errors: Unknown, Canceled. */
  async fetchManifest(digest: Digest, signal: AbortSignal): Promise<FetchedManifest> {
    const attempted = `fetching manifest ${this.#name}@${digest}`;
    return this.#tryHosts('pull', attempted, signal, (host) =>
      this.#getManifest(host, `manifests/${digest}`, digest, signal),
    );
  }

  /** A small blob, verified. Errors: Unknown, Canceled. */
  async fetchBlob(blob: Descriptor, signal: AbortSignal): Promise<Buffer> {
    const attempted = `fetching blob ${blob.digest} of ${this.#name}`;
    return this.#tryHosts('pull', attempted, signal, async (host) => {
      const response = await this.#send(host, 'GET', `blobs/${blob.digest}`, {}, signal);
      await this.#expect(response, host, [200]);
      const body = await response.text(Math.min(blob.sizeBytes, smallBlobLimitBytes));
      verify(body, blob.digest, host.name);
      return body;
    });
  }

  /**
   * Streams a blob into `sink`, going on where it stopped when a connection breaks, at the same host or the next. Resolves
   * with the origins that contributed, once exactly the promised number of bytes came; their digest is the caller's to check.
   * Errors: Unknown, Canceled, and whatever the sink throws.
   */
  async streamBlob(blob: Descriptor, stream: BlobStream, signal: AbortSignal): Promise<string[]> {
    const attempted = `fetching layer ${blob.digest} of ${this.#name}`;
    const contributors = new Set<string>();
    const progress = { offset: stream.offset };
    const { hosts } = this.#options;
    const open = (host: RegistryHost) => (range: Record<string, string>) =>
      this.#send(host, 'GET', `blobs/${blob.digest}`, range, signal);
    const direct = (url: string) => (range: Record<string, string>) =>
      this.#transport.request(
        { method: 'GET', url, headers: { ...range, 'Accept-Encoding': 'identity' } },
        undefined,
        signal,
      );
    const sources = [
      ...hosts
        .filter(({ capabilities }) => capabilities.has('pull'))
        .map((host) => ({ host, origin: host.origin, name: host.name, open: open(host) })),
      ...foreignUrls(blob).map((url) => ({
        host: undefined,
        origin: new URL(url).origin,
        name: new URL(url).host,
        open: direct(url),
      })),
    ];
    const failures: RegistryFailure[] = [];
    for (const source of sources.filter(({ origin }) => !stream.excluded.has(origin))) {
      if (source.host && !this.#isWorthAsking(source.host, failures.at(-1))) continue;
      const before = progress.offset;
      const failure = await this.#persist(
        source.host,
        signal,
        attempted,
        async () => {
          const start = progress.offset;
          try {
            await receive(
              await source.open(start > 0 ? { Range: `bytes=${start}-` } : {}),
              source.name,
              blob,
              progress,
              stream.sink,
              this.#options.now(),
            );
          } finally {
            if (progress.offset > before) contributors.add(source.origin);
          }
        },
        () => progress.offset,
      );
      if (!failure) {
        if (source.host?.isFallback) this.#plainNames.add(source.name);
        return [...contributors];
      }
      failures.push(failure);
    }
    throw noHostLeft(attempted, failures);
  }

  /** A host that speaks plain HTTP is asked only when it does not speak TLS, and is then not asked for TLS again. */
  #isWorthAsking(host: RegistryHost, before: RegistryFailure | undefined): boolean {
    if (this.#plainNames.has(host.name) && host.skipVerify) return false;
    if (!host.isFallback || this.#plainNames.has(host.name)) return true;
    return before !== undefined && before.status === 0 && before.type !== 'mismatch';
  }

  /** Tries the hosts that have `capability` in order; the first answer wins. */
  async #tryHosts<T>(
    capability: Capability,
    attempted: string,
    signal: AbortSignal,
    work: (host: RegistryHost) => Promise<T>,
  ): Promise<T> {
    const failures: RegistryFailure[] = [];
    for (const host of this.#options.hosts) {
      if (!host.capabilities.has(capability) || !this.#isWorthAsking(host, failures.at(-1))) continue;
      let result: { value: T } | undefined;
      const failure = await this.#persist(host, signal, attempted, async () => {
        result = { value: await work(host) };
      });
      if (result) {
        if (host.isFallback) this.#plainNames.add(host.name);
        return result.value;
      }
      if (failure) failures.push(failure);
    }
    throw noHostLeft(attempted, failures);
  }

  /**
   * Tries `work` at one host until it succeeds (undefined), or fails for good or too often (the last failure). A try after
   * which `received` has grown by a proper amount starts the count anew. Any error but a RegistryFailure is thrown on.
   */
  async #persist(
    host: RegistryHost | undefined,
    signal: AbortSignal,
    attempted: string,
    work: () => Promise<void>,
    received: () => number = () => 0,
  ): Promise<RegistryFailure | undefined> {
    const { attempts, retryDelayMs, longestDelayMs, minimumBytes } = this.#options.limits;
    let failed = 0;
    for (;;) {
      const before = received();
      try {
        await work();
        return undefined;
      } catch (error) {
        if (!(error instanceof RegistryFailure)) throw error;
        const failure = host ? error.withMessage(this.#auth.redact(host, error.message)) : error;
        failed = received() - before >= minimumBytes ? 1 : failed + 1;
        const hasGrown = failed === 1 && received() > before;
        // A line that went quiet may come back; a host that never sent anything is not waited for twice.
        const isWorthIt = error.isTransient || (error.type === 'stalled' && hasGrown);
        if (!isWorthIt || failed >= attempts) return failure;
        const waitMs = error.retryAfterMs ?? retryDelayMs * 2 ** (failed - 1);
        if (error.retryAfterMs !== undefined && waitMs > longestDelayMs) return failure;
        await delay(Math.min(waitMs, longestDelayMs), undefined, { signal }).catch(() => {
          throw abortError(signal, attempted);
        });
      }
    }
  }

  /** One request below this repository, with what authorization is known; answers a 401 up to twice. */
  async #send(
    host: RegistryHost,
    method: 'GET' | 'HEAD',
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    const original = host.isMirror ? (host.namespace ?? this.#options.domain) : '';
    const namespace = original === '' ? '' : `?ns=${encodeURIComponent(original)}`;
    const repository = host.repository ?? this.#options.repository;
    const url = `${host.origin}${host.path}/${repository}/${path}${namespace}`;
    for (let attempt = 0; ; attempt += 1) {
      const authorization = this.#auth.headerFor(host);
      const response = await this.#transport.request(
        {
          method,
          url,
          headers: {
            'Accept-Encoding': 'identity',
            ...host.headers,
            ...headers,
            ...(authorization !== undefined && { Authorization: authorization }),
          },
        },
        host,
        signal,
      );
      const challenge = response.headers['www-authenticate'];
      if (response.status !== 401 || attempt >= 2 || challenge === undefined) return response;
      // A second 401 after a token we had kept means that it was revoked; after a fresh one, that it does not suffice.
      if (attempt === 1 && authorization === undefined) return response;
      if (!(await this.#auth.answer(host, challenge, authorization, signal))) return response;
      response.discard();
    }
  }

  async #getManifest(
    host: RegistryHost,
    path: string,
    expected: Digest | undefined,
    signal: AbortSignal,
  ): Promise<FetchedManifest> {
    const response = await this.#send(host, 'GET', path, { Accept: acceptedManifests }, signal);
    await this.#expect(response, host, [200]);
    const body = await response.text(manifestLimitBytes);
    const claimed = response.headers['docker-content-digest'];
    const stated = typeof claimed === 'string' && isDigest(claimed) ? claimed : undefined;
    const digest = expected ?? stated ?? digestOf(body);
    verify(body, digest, host.name);
    return { digest, contentType: response.headers['content-type'] ?? '', body };
  }

  async #expect(response: HttpResponse, host: RegistryHost, accepted: readonly number[]): Promise<void> {
    if (accepted.includes(response.status)) return;
    throw await statusFailure(response, host.name, this.#options.now());
  }
}

/** Where else a layer that registries may not hold can be fetched from (image-spec, non-distributable layers). */
function foreignUrls(blob: Descriptor): string[] {
  if (!/nondistributable|foreign/.test(blob.mediaType)) return [];
  return blob.urls.filter((url) => /^https?:\/\//.test(url) && URL.canParse(url));
}

function verify(body: Buffer, digest: Digest, hostName: string): void {
  const actual = digestOf(body, algorithmOf(digest));
  if (actual !== digest)
    throw new RegistryFailure(
      'mismatch',
      `${hostName}: sent content with digest ${actual} where ${digest} was asked for`,
    );
}

async function statusFailure(
  response: HttpResponse,
  hostName: string,
  nowMs: number,
): Promise<RegistryFailure> {
  const body = await response.text(errorBodyLimitBytes).catch(() => Buffer.alloc(0));
  const retryAfterMs = parseRetryAfter(response.headers['retry-after'], nowMs);
  const words = describeStatus(response.status, body.toString('utf8'));
  return new RegistryFailure('status', `${hostName}: ${words}`, { status: response.status, retryAfterMs });
}

/** Reads one answer into the sink from `progress.offset` on, whether or not the host honoured the Range. */
async function receive(
  response: HttpResponse,
  hostName: string,
  blob: Descriptor,
  progress: { offset: number },
  sink: BlobStream['sink'],
  nowMs: number,
): Promise<void> {
  const { sizeBytes } = blob;
  if (response.status === 416 && progress.offset === sizeBytes) return response.discard();
  if (response.status !== 200 && response.status !== 206)
    throw await statusFailure(response, hostName, nowMs);
  let skip = response.status === 200 ? progress.offset : 0;
  if (response.status === 206 && progress.offset > 0) {
    const start = /^bytes (\d+)-/.exec(response.headers['content-range'] ?? '')?.[1];
    if (Number(start) !== progress.offset) {
      response.discard();
      throw new RegistryFailure(
        'mismatch',
        `${hostName}: sent range ${start} where ${progress.offset} was asked for`,
      );
    }
  }
  await response.consume((received) => {
    const dropped = Math.min(skip, received.length);
    skip -= dropped;
    const chunk = dropped > 0 ? received.subarray(dropped) : received;
    if (chunk.length === 0) return undefined;
    if (progress.offset + chunk.length > sizeBytes)
      throw new RegistryFailure(
        'mismatch',
        `${hostName}: sent more than the ${sizeBytes} bytes of blob ${blob.digest}`,
      );
    progress.offset += chunk.length;
    return sink(chunk);
  });
  if (progress.offset < sizeBytes)
    throw new RegistryFailure(
      'broken',
      `${hostName}: blob ${blob.digest} ended after ${progress.offset} of ${sizeBytes} bytes`,
    );
}
