/**
 * HTTP to registry hosts: connections with each host's TLS options, redirects that lose the credentials when they leave
 * the host, and a watch that ends a request which is too slow to be alive. There is no fixed time limit: a big blob over
 * a thin line may take hours, but bytes must keep coming.
 */
import { existsSync, readFileSync } from 'node:fs';
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { createSecureContext, rootCertificates } from 'node:tls';
import { abortError, errnoOf, messageOf } from '#base/errors.ts';
import { RegistryFailure } from './errors.ts';
import { isLoopback, type RegistryHost } from './hosts.ts';

export interface TransferLimits {
  /** How long connecting may take where a host does not say otherwise. */
  readonly dialTimeoutMs: number;
  /** At least this many bytes ... */
  readonly minimumBytes: number;
  /** ... must come within each such span while a request is open; its first answer too. */
  readonly windowMs: number;
  /** Tries of one request at one host before the next host is asked. A try that brought bytes does not count. */
  readonly attempts: number;
  /** Wait before the second try; doubled for each further one. */
  readonly retryDelayMs: number;
  /** The longest wait, also when Retry-After asks for more (then the next host is asked at once). */
  readonly longestDelayMs: number;
}

export const defaultTransferLimits: TransferLimits = {
  dialTimeoutMs: 30_000,
  minimumBytes: 16 << 10,
  windowMs: 60_000,
  attempts: 4,
  retryDelayMs: 500,
  longestDelayMs: 30_000,
};

/** Where distributions keep the trusted certificate authorities; the first that exists is used, else Node's own list. */
const caBundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body?: string | Buffer | BodyStream;
}

/** A body of known length that is read as fast as the host takes it, anew for every request. */
export interface BodyStream {
  readonly sizeBytes: number;
  read(): Iterable<Buffer>;
  /** Told of the bytes handed to the connection so far. */
  readonly onSent: (bytes: number) => void;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Reads the body, at most `limitBytes` of it (a longer one is a mismatch). */
  text(limitBytes: number): Promise<Buffer>;
  /** Hands over the body piece by piece; a sink that returns a promise holds the sender back until it settles. */
  consume(sink: (chunk: Buffer) => Promise<void> | undefined): Promise<void>;
  /** Gives the connection up. */
  discard(): void;
}

type Endpoint = Pick<RegistryHost, 'ca' | 'clients' | 'skipVerify' | 'dialTimeoutMs'>;
const anyEndpoint: Endpoint = { ca: [], clients: [], skipVerify: false, dialTimeoutMs: undefined };
const mostRedirects = 10;

/** Calls `onStall` once when a window passes with too few bytes. Time in which the reader held the sender back does not count. */
class RateWatch {
  readonly #limits: TransferLimits;
  readonly #onStall: () => void;
  #timer: NodeJS.Timeout | undefined;
  #bytes = 0;
  #wasHeld = false;

  constructor(limits: TransferLimits, onStall: () => void) {
    this.#limits = limits;
    this.#onStall = onStall;
    this.#arm();
  }

  #arm(): void {
    this.#bytes = 0;
    this.#wasHeld = false;
    this.#timer = setTimeout(() => {
      if (this.#wasHeld || this.#bytes >= this.#limits.minimumBytes) this.#arm();
      else this.#onStall();
    }, this.#limits.windowMs);
  }

  count(bytes: number): void {
    this.#bytes += bytes;
  }

  held(): void {
    this.#wasHeld = true;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** What a failed connection means for somebody who reads the event of a pod. */
function connectionFailure(host: string, error: unknown, hadAnswer: boolean): RegistryFailure {
  if (error instanceof RegistryFailure) return error;
  const code = errnoOf(error) ?? '';
  const hints: Record<string, string> = {
    ENOTFOUND: 'no such host',
    EAI_AGAIN: 'the name server does not answer',
    ECONNREFUSED: 'connection refused',
  };
  const isPlain = /wrong version number|packet length too long|http request/i.test(messageOf(error));
  const isCertificate = /CERT|SELF_SIGNED|UNABLE_TO|ERR_TLS/.test(code);
  const words = isPlain
    ? 'it does not speak TLS; plain HTTP must be allowed by an http:// URL in its hosts.toml'
    : (hints[code] ??
      (isCertificate ? `certificate refused: ${messageOf(error)}` : messageOf(error) || code));
  const isBroken = hadAnswer || code === 'ECONNRESET' || code === 'EPIPE' || code.startsWith('HPE_');
  return new RegistryFailure(isBroken ? 'broken' : 'unreachable', `${host}: ${words}`, { cause: error });
}

export interface TransportOptions {
  readonly limits: TransferLimits;
  /** `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, in either case. */
  readonly proxy: Readonly<Record<string, string>>;
  readonly userAgent: string;
}

/** The connections of one client; `close` ends those that are idle. */
export class Transport {
  readonly #options: TransportOptions;
  readonly #agents = new Map<string, HttpAgent | HttpsAgent>();

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }

  #agent(url: URL, endpoint: Endpoint): HttpAgent | HttpsAgent {
    const key = `${url.origin} ${endpoint === anyEndpoint ? '' : 'configured'}`;
    const known = this.#agents.get(key);
    if (known) return known;
    const common = { keepAlive: true, proxyEnv: { ...this.#options.proxy } };
    const agent = url.protocol === 'https:' ? this.#httpsAgent(endpoint, common) : new HttpAgent(common);
    this.#agents.set(key, agent);
    return agent;
  }

  #httpsAgent(endpoint: Endpoint, common: object): HttpsAgent {
    const bundle = caBundles.find((path) => existsSync(path));
    const trusted = bundle === undefined ? [...rootCertificates] : [readFileSync(bundle)];
    const pairs = endpoint.clients.map(({ cert, key }) => ({ cert, key: key ?? cert }));
    const secureContext = createSecureContext({
      ca: [...trusted, ...endpoint.ca],
      ...(pairs.length > 0 && { cert: pairs.map(({ cert }) => cert), key: pairs.map(({ key }) => key) }),
    });
    return new HttpsAgent({ ...common, secureContext, rejectUnauthorized: !endpoint.skipVerify });
  }

  /**
   * Sends a request and follows its redirects. Credentials and configured headers go to `endpoint`'s own origin only; a
   * redirect from TLS to plain HTTP is refused unless it stays on this machine. Resolves with the answer whatever its
   * status; throws RegistryFailure, or Canceled once `signal` aborts (also while the body is read).
   */
  async request(
    request: HttpRequest,
    endpoint: Endpoint | undefined,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    const first = new URL(request.url);
    let url = first;
    for (let hop = 0; hop <= mostRedirects; hop += 1) {
      const isSameOrigin = url.origin === first.origin;
      const headers = isSameOrigin ? request.headers : withoutSecrets(request.headers);
      const response = await this.#once(
        { ...request, headers },
        url,
        isSameOrigin ? endpoint : undefined,
        signal,
      );
      const location = response.headers.location;
      const isRedirect = [301, 302, 303, 307, 308].includes(response.status) && location !== undefined;
      // A form holds secrets, and a body is read once: where these are sent on to is not followed.
      if (!isRedirect || !['GET', 'HEAD'].includes(request.method)) return response;
      response.discard();
      if (!URL.canParse(location, url.href))
        throw new RegistryFailure('mismatch', `${url.host}: its redirect is to what is no URL`);
      const next = new URL(location, url.href);
      if (
        !/^https?:$/.test(next.protocol) ||
        (url.protocol === 'https:' && next.protocol === 'http:' && !isLoopback(next.host))
      )
        throw new RegistryFailure(
          'mismatch',
          `${url.host}: refusing its redirect to ${next.protocol}//${next.host}`,
        );
      url = next;
    }
    throw new RegistryFailure('mismatch', `${first.host}: more than ${mostRedirects} redirects`);
  }

  #once(
    request: HttpRequest,
    url: URL,
    configured: Endpoint | undefined,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    const endpoint = configured ?? anyEndpoint;
    const { limits, userAgent } = this.#options;
    return new Promise<HttpResponse>((resolve, reject) => {
      if (signal.aborted) return reject(abortError(signal, `asking ${url.host}`));
      const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
      const outgoing = send(url, {
        method: request.method,
        agent: this.#agent(url, endpoint),
        headers: { 'User-Agent': userAgent, ...lengthOf(request), ...request.headers },
      });
      // Once an answer is being read, Node tells its reader of any end as "aborted": why is kept here.
      let reason: RegistryFailure | undefined;
      const give = (failure: RegistryFailure) => {
        reason ??= failure;
        outgoing.destroy(failure);
      };
      const seconds = limits.windowMs / 1000;
      const watch = new RateWatch(limits, () =>
        give(
          new RegistryFailure(
            'stalled',
            `${url.host}: fewer than ${limits.minimumBytes} bytes in ${seconds} s`,
          ),
        ),
      );
      const onAbort = () => outgoing.destroy(abortError(signal, `asking ${url.host}`));
      signal.addEventListener('abort', onAbort, { once: true });
      const dialMs = endpoint.dialTimeoutMs ?? limits.dialTimeoutMs;
      const dial = setTimeout(
        () =>
          give(new RegistryFailure('unreachable', `${url.host}: no connection within ${dialMs / 1000} s`)),
        dialMs,
      );
      outgoing.on('socket', (socket) => {
        const connected = () => clearTimeout(dial);
        if (outgoing.reusedSocket || !socket.connecting) connected();
        else socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', connected);
      });
      let hadAnswer = false;
      const failed = (error: unknown) =>
        signal.aborted
          ? abortError(signal, `asking ${url.host}`)
          : (reason ?? connectionFailure(url.host, error, hadAnswer));
      outgoing.on('error', (error) => reject(failed(error)));
      outgoing.on('close', () => {
        clearTimeout(dial);
        watch.stop();
        signal.removeEventListener('abort', onAbort);
      });
      outgoing.on('response', (incoming) => {
        hadAnswer = true;
        clearTimeout(dial);
        watch.count(limits.minimumBytes);
        // An answer before all was sent is a refusal: nobody takes the rest.
        if (!outgoing.writableFinished) incoming.once('close', () => outgoing.destroy());
        resolve(makeResponse(incoming, watch, failed, url.host));
      });
      const { body } = request;
      if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) outgoing.end(body);
      else sendBody(outgoing, body, watch, give);
    });
  }
}

function lengthOf({ method, body }: HttpRequest): Record<string, string> {
  if (method === 'GET' || method === 'HEAD' || typeof body === 'string') return {};
  return {
    'Content-Length': String(body === undefined ? 0 : 'sizeBytes' in body ? body.sizeBytes : body.length),
  };
}

/** Sends a body with the connection's own speed. */
function sendBody(
  outgoing: ClientRequest,
  body: BodyStream,
  watch: RateWatch,
  give: (failure: RegistryFailure) => void,
): void {
  const pieces = body.read()[Symbol.iterator]();
  let sentBytes = 0;
  const pump = (): void => {
    try {
      while (!outgoing.destroyed) {
        const next = pieces.next();
        if (next.done === true) {
          outgoing.end();
          return;
        }
        sentBytes += next.value.length;
        watch.count(next.value.length);
        body.onSent(sentBytes);
        if (!outgoing.write(next.value)) {
          outgoing.once('drain', pump);
          return;
        }
      }
    } catch (error) {
      give(
        new RegistryFailure('mismatch', `reading what is to be sent failed: ${messageOf(error)}`, {
          cause: error,
        }),
      );
    }
  };
  outgoing.once('close', () => pieces.return?.());
  pump();
}

function withoutSecrets(headers: HttpRequest['headers']): Record<string, string | string[]> {
  const kept = ['accept', 'range', 'accept-encoding'];
  return Object.fromEntries(Object.entries(headers).filter(([name]) => kept.includes(name.toLowerCase())));
}

function makeResponse(
  incoming: IncomingMessage,
  watch: RateWatch,
  failed: (error: unknown) => Error,
  host: string,
): HttpResponse {
  // Until somebody reads, an error has no other listener; the reader is told by `destroyed` and `errored`.
  incoming.on('error', () => {});
  const consume = (sink: (chunk: Buffer) => Promise<void> | undefined): Promise<void> =>
    new Promise((resolve, reject) => {
      const stop = (error: unknown) => {
        reject(error);
        incoming.destroy();
      };
      const ended = () =>
        stop(failed(incoming.errored ?? new RegistryFailure('broken', `${host}: the answer broke off`)));
      if (incoming.destroyed && !incoming.complete) return ended();
      incoming.on('data', (chunk: Buffer) => {
        watch.count(chunk.length);
        try {
          const pending = sink(chunk);
          if (!pending) return;
          incoming.pause();
          watch.held();
          pending.then(() => {
            watch.held();
            incoming.resume();
          }, stop);
        } catch (error) {
          stop(error);
        }
      });
      incoming.once('end', () => resolve());
      incoming.once('close', () => {
        if (!incoming.readableEnded) ended();
      });
    });
  return {
    status: incoming.statusCode ?? 0,
    headers: incoming.headers,
    consume,
    async text(limitBytes) {
      const chunks: Buffer[] = [];
      let size = 0;
      await consume((chunk) => {
        size += chunk.length;
        if (size > limitBytes)
          throw new RegistryFailure(
            'mismatch',
            `${host}: an answer longer than ${limitBytes} bytes where a short one belongs`,
          );
        chunks.push(chunk);
        return undefined;
      });
      return Buffer.concat(chunks);
    },
    discard: () => {
      // A short body is read to its end so that the connection can serve again; a long one is cut off.
      const length = Number(incoming.headers['content-length'] ?? Infinity);
      if (length <= 64 << 10) incoming.resume();
      else incoming.destroy();
    },
  };
}
