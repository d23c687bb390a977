import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { messageOf, RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { decideUpgrade, refusal, type UpgradeDecision } from './http-upgrade.ts';
import { defaultLimits, type StreamingLimits } from './limits.ts';
import { type Link, SocketLink } from './link.ts';
import type {
  AttachRequest,
  ExecRequest,
  PortForwardRequest,
  StreamingProvider,
  StreamSelection,
} from './process.ts';
import { serveSpdyCommand, spdyCommandVersions } from './spdy-command.ts';
import { portForwardTunnelProtocol, portForwardVersion, serveSpdyForward } from './spdy-forward.ts';
import { TokenStore, type TokenStoreOptions } from './tokens.ts';
import {
  serveWebSocketCommand,
  type WebSocketCommandProtocol,
  webSocketCommandProtocols,
} from './websocket-command.ts';
import { WebSocketTunnel } from './websocket-connection.ts';
import {
  serveWebSocketForward,
  type WebSocketForwardProtocol,
  webSocketForwardProtocols,
} from './websocket-forward.ts';

/** PEM texts. With a client CA, only clients that present a certificate of it are served. */
export interface StreamingTls {
  readonly key: string | Buffer;
  readonly cert: string | Buffer;
  readonly clientCa?: string | Buffer;
}

export interface StreamingServerOptions {
  readonly provider: StreamingProvider;
  readonly log: Log;
  /** Address to listen on. Default 127.0.0.1. */
  readonly address?: string;
  /** Port to listen on. Default 0: the kernel chooses. */
  readonly port?: number;
  /** Host in the URLs that clients dial. Default: the address listened on, or 127.0.0.1 or [::1] for a wildcard. */
  readonly advertisedHost?: string;
  readonly tls?: StreamingTls;
  readonly limits?: Partial<StreamingLimits>;
  readonly tokens?: TokenStoreOptions;
}

type PendingRequest =
  | { readonly kind: 'exec'; readonly request: ExecRequest }
  | { readonly kind: 'attach'; readonly request: AttachRequest }
  | { readonly kind: 'portforward'; readonly request: PortForwardRequest };

const commandOffer = {
  spdy: spdyCommandVersions,
  webSocket: Object.keys(webSocketCommandProtocols) as WebSocketCommandProtocol[],
};
const forwardOffer = {
  spdy: [portForwardVersion] as const,
  webSocket: [
    portForwardTunnelProtocol,
    ...(Object.keys(webSocketForwardProtocols) as WebSocketForwardProtocol[]),
  ] as const,
};

/**
 * The HTTP server that Exec, Attach and PortForward send their clients to. The gRPC call only mints a URL that works once
 * and for a minute; everything happens when a client connects to it. Sessions live apart from the containers they serve:
 * no stop or removal ever waits for one.
 */
export class StreamingServer {
  readonly #options: StreamingServerOptions;
  readonly #limits: StreamingLimits;
  readonly #log: Log;
  readonly #tokens: TokenStore<PendingRequest>;
  readonly #server: Server | TlsServer;
  readonly #links = new Map<Link, { readonly closed: Promise<void> }>();
  readonly #refused = new Set<Socket>();
  #base: string | undefined;

  constructor(options: StreamingServerOptions) {
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#log = options.log;
    this.#tokens = new TokenStore(options.tokens);
    // A request has only a head; the upgraded connections have limits of their own.
    const timeouts = { headersTimeout: 10_000, requestTimeout: 10_000, keepAliveTimeout: 5000 };
    this.#server =
      options.tls === undefined
        ? createServer(timeouts)
        : createTlsServer({ ...timeouts, ...tlsContext(options.tls), ...clientCheck(options.tls) });
    this.#server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) =>
      this.#upgrade(request, socket, head),
    );
    this.#server.on('request', (request: IncomingMessage, response: ServerResponse) =>
      this.#answerPlain(request, response),
    );
  }

  /** Begins to listen. Rejects with Unavailable if the address cannot be used. */
  async listen(): Promise<void> {
    const address = this.#options.address ?? '127.0.0.1';
    const port = this.#options.port ?? 0;
    await new Promise<void>((resolve, reject) => {
      const failed = (cause: Error): void =>
        reject(
          new RuntimeError(
            'Unavailable',
            `listen for streaming on ${address} port ${port}: ${cause.message}`,
            {
              cause,
            },
          ),
        );
      this.#server.once('error', failed);
      this.#server.listen(port, address, () => {
        this.#server.off('error', failed);
        resolve();
      });
    });
    this.#server.on('error', (error) => this.#log.error({ err: error }, 'streaming server'));
    const bound = this.#server.address() as AddressInfo;
    const scheme = this.#options.tls === undefined ? 'http' : 'https';
    this.#base = `${scheme}://${this.#options.advertisedHost ?? reachableHost(bound)}:${bound.port}`;
    this.#log.info({ url: this.#base }, 'streaming server listening');
  }

  /** Where the server is reached, without a path. Throws FailedPrecondition before `listen`. */
  get baseUrl(): string {
    if (this.#base === undefined) {
      throw new RuntimeError('FailedPrecondition', 'the streaming server is not listening yet');
    }
    return this.#base;
  }

  get openSessions(): number {
    return this.#links.size;
  }

  /** A URL for one exec. Throws InvalidArgument for impossible streams, ResourceExhausted when too many URLs wait. */
  execUrl(request: ExecRequest): string {
    checkStreams(request, `exec in container ${request.containerId}`);
    return this.#issue({ kind: 'exec', request });
  }

  /** A URL for one attach. Throws as `execUrl`. */
  attachUrl(request: AttachRequest): string {
    checkStreams(request, `attach to container ${request.containerId}`);
    return this.#issue({ kind: 'attach', request });
  }

  /** A URL for one port-forward connection. Throws ResourceExhausted when too many URLs wait. */
  portForwardUrl(request: PortForwardRequest): string {
    return this.#issue({ kind: 'portforward', request });
  }

  /**
   * Uses another key pair for new connections; open ones go on. The client CA changes with it, but whether clients must
   * have a certificate at all is fixed at the start. Throws InvalidArgument for an unusable pair, and keeps the old one.
   */
  setTls(tls: StreamingTls): void {
    if (!('setSecureContext' in this.#server)) {
      throw new RuntimeError(
        'FailedPrecondition',
        'reload the streaming key pair: the server runs without TLS',
      );
    }
    try {
      this.#server.setSecureContext(tlsContext(tls));
    } catch (cause) {
      throw new RuntimeError('InvalidArgument', `reload the streaming key pair: ${messageOf(cause)}`, {
        cause,
      });
    }
  }

  /** Stops listening, ends all sessions and waits until their connections and processes are let go. Idempotent. */
  async close(): Promise<void> {
    const stopped = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeAllConnections();
    for (const socket of this.#refused) socket.destroy();
    const closing = [...this.#links].map(([link, { closed }]) => {
      link.destroy('stopped');
      return closed;
    });
    await Promise.all([stopped, ...closing]);
  }

  #issue(pending: PendingRequest): string {
    const base = this.baseUrl;
    return `${base}/${pending.kind}/${this.#tokens.add(pending)}`;
  }

  /** The request that the path's token stands for, used up; the query says nothing. */
  #take(url: string | undefined): PendingRequest | undefined {
    const match = /^\/(exec|attach|portforward)\/([A-Za-z0-9_-]+)(?:\?.*)?$/.exec(url ?? '');
    if (match === null) return undefined;
    return this.#tokens.take(match[2]!, (pending): pending is PendingRequest => pending.kind === match[1]);
  }

  #answerPlain(request: IncomingMessage, response: ServerResponse): void {
    const status =
      request.method !== 'GET' && request.method !== 'POST' ? 405 : this.#take(request.url) ? 400 : 404;
    const text = status === 400 ? 'unable to upgrade: no upgrade headers in the request' : 'not found';
    response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close' });
    response.end(`${text}\n`);
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    // Until a link takes the socket over, an error only means that the client has gone.
    socket.on('error', () => socket.destroy());
    const allowed = request.method === 'GET' || request.method === 'POST';
    const pending = allowed ? this.#take(request.url) : undefined;
    if (pending === undefined)
      this.#refuse(socket, allowed ? refusal(404, 'not found') : refusal(405, 'not allowed'));
    else if (pending.kind === 'portforward') this.#serveForward(pending.request, request, socket, head);
    else this.#serveCommand(pending, request, socket, head);
  }

  #serveCommand(
    pending: Extract<PendingRequest, { kind: 'exec' | 'attach' }>,
    request: IncomingMessage,
    socket: Socket,
    head: Buffer,
  ): void {
    const decision = decideUpgrade(request, commandOffer);
    if (!this.#respond(decision, socket)) return;
    const { provider } = this.#options;
    const log = this.#log.child({ containerId: pending.request.containerId });
    const { link, onClosed } = this.#track(socket, head, sessionLog(log, pending.kind, decision));
    const options = {
      link,
      kind: pending.kind,
      streams: pending.request,
      limits: this.#limits,
      log,
      open: (openOptions: Parameters<StreamingProvider['attach']>[1]) =>
        pending.kind === 'exec'
          ? provider.exec(pending.request, openOptions)
          : provider.attach(pending.request, openOptions),
      onClosed,
    };
    if (decision.kind === 'spdy') serveSpdyCommand({ ...options, version: decision.protocol });
    else serveWebSocketCommand({ ...options, protocol: decision.protocol });
  }

  #serveForward(pending: PortForwardRequest, request: IncomingMessage, socket: Socket, head: Buffer): void {
    const decision = decideUpgrade(request, forwardOffer);
    const noPorts = decision.kind === 'websocket' && decision.protocol !== portForwardTunnelProtocol;
    if (noPorts && pending.ports.length === 0) {
      socket.end(
        refusal(400, 'this WebSocket subprotocol forwards the ports of the request, which names none'),
      );
      return;
    }
    if (!this.#respond(decision, socket)) return;
    const log = this.#log.child({ sandboxId: pending.sandboxId });
    const { link, onClosed } = this.#track(socket, head, sessionLog(log, 'port-forward', decision));
    const options = {
      link,
      request: pending,
      limits: this.#limits,
      log,
      dial: (port: number, signal: AbortSignal) => this.#options.provider.dial(pending, port, signal),
      onClosed,
    };
    if (decision.kind === 'spdy') serveSpdyForward(options);
    else if (decision.protocol !== portForwardTunnelProtocol) {
      serveWebSocketForward({ ...options, protocol: decision.protocol });
    } else serveSpdyForward({ ...options, link: new WebSocketTunnel(link, this.#limits) });
  }

  /** Sends the decision's response; false if it refuses and the connection is at its end. */
  #respond<S extends string, W extends string>(
    decision: UpgradeDecision<S, W>,
    socket: Socket,
  ): decision is Exclude<UpgradeDecision<S, W>, { kind: 'refused' }> {
    if (decision.kind === 'refused') {
      this.#refuse(socket, decision.response);
      return false;
    }
    socket.write(decision.response);
    return true;
  }

  /** The HTTP server has let the socket go: it is ours to close if the client does not. */
  #refuse(socket: Socket, response: string): void {
    this.#refused.add(socket);
    socket.once('close', () => this.#refused.delete(socket));
    socket.setTimeout(this.#limits.lingerMs, () => socket.destroy());
    socket.resume();
    socket.end(response);
  }

  #track(socket: Socket, head: Buffer, onEnd: () => void): { link: Link; onClosed: () => void } {
    const link = new SocketLink(socket, head, this.#limits);
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    this.#links.set(link, { closed });
    const onClosed = (): void => {
      this.#links.delete(link);
      onEnd();
      resolve();
    };
    return { link, onClosed };
  }
}

/** Logs the beginning of a session, and by the function it returns the end. */
function sessionLog(
  log: Log,
  session: string,
  { kind, protocol }: { readonly kind: string; readonly protocol: string },
): () => void {
  const startedMs = performance.now();
  log.debug({ session, transport: kind, protocol }, `${session} session begins`);
  return () => {
    const ms = Math.round(performance.now() - startedMs);
    log.debug({ session, transport: kind, ms }, `${session} session is over`);
  };
}

function checkStreams(streams: StreamSelection, attempted: string): void {
  if (streams.tty && streams.stderr) {
    throw new RuntimeError('InvalidArgument', `${attempted}: tty and stderr cannot both be true`);
  }
  if (!streams.stdin && !streams.stdout && !streams.stderr) {
    throw new RuntimeError('InvalidArgument', `${attempted}: one of stdin, stdout and stderr must be true`);
  }
}

function tlsContext(tls: StreamingTls): {
  key: string | Buffer;
  cert: string | Buffer;
  ca?: string | Buffer;
} {
  const context = { key: tls.key, cert: tls.cert, minVersion: 'TLSv1.2' as const };
  return tls.clientCa === undefined ? context : { ...context, ca: tls.clientCa };
}

function clientCheck(tls: StreamingTls): { requestCert: boolean; rejectUnauthorized: boolean } {
  return { requestCert: tls.clientCa !== undefined, rejectUnauthorized: tls.clientCa !== undefined };
}

function reachableHost(bound: AddressInfo): string {
  if (bound.address === '0.0.0.0') return '127.0.0.1';
  if (bound.address === '::') return '[::1]';
  return bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
}
