import type { Duplex } from 'node:stream';
import type { Log } from '#base/log.ts';
import { ForwardSession } from './forward-session.ts';
import type { StreamingLimits } from './limits.ts';
import type { Link } from './link.ts';
import type { PortForwardRequest } from './process.ts';
import { SpdyConnection, type SpdyStream, type SpdyStreamHandler } from './spdy-connection.ts';
import { resetStatus } from './spdy-frames.ts';

/** The protocol version of port forwarding over SPDY. */
export const portForwardVersion = 'portforward.k8s.io';
/** The WebSocket subprotocol that carries the same SPDY bytes in binary messages. */
export const portForwardTunnelProtocol = `SPDY/3.1+${portForwardVersion}`;

export interface SpdyForwardOptions {
  readonly link: Link;
  readonly request: PortForwardRequest;
  readonly dial: (port: number, signal: AbortSignal) => Promise<Duplex>;
  readonly limits: StreamingLimits;
  readonly log: Log;
  readonly onClosed: () => void;
}

/** Serves port forwarding over SPDY until the client closes the connection. */
export function serveSpdyForward(options: SpdyForwardOptions): void {
  new SpdyForward(options).open();
}

/** One forwarded connection: two streams of the client with the same request id. */
interface Pair {
  readonly key: string;
  readonly port: number;
  readonly session: ForwardSession;
  error?: SpdyStream;
  data?: SpdyStream;
  /** Runs until both streams have come. */
  creation?: NodeJS.Timeout;
  /** The dial failed and the error stream says so. */
  failed?: boolean;
}

class SpdyForward {
  readonly #options: SpdyForwardOptions;
  readonly #connection: SpdyConnection;
  readonly #pairs = new Map<string, Pair>();
  #goingAway = false;

  constructor(options: SpdyForwardOptions) {
    this.#options = options;
    this.#connection = new SpdyConnection({
      link: options.link,
      limits: options.limits,
      onStream: (stream) => this.#addStream(stream),
      onDrain: () => {
        for (const pair of this.#pairs.values()) pair.session.drained();
      },
      onGoaway: () => {
        this.#goingAway = true;
        this.#finishIfIdle();
      },
      onClosed: () => {
        for (const pair of [...this.#pairs.values()]) pair.session.reset();
        options.onClosed();
      },
    });
  }

  open(): void {
    this.#connection.open();
  }

  #addStream(stream: SpdyStream): void {
    const type = stream.headers.get('streamtype');
    const port = Number(stream.headers.get('port'));
    const { ports } = this.#options.request;
    const allowed =
      Number.isInteger(port) && port >= 1 && port <= 0xffff && (ports.length === 0 || ports.includes(port));
    if (this.#goingAway || !allowed || (type !== 'error' && type !== 'data')) {
      stream.reset(resetStatus.protocolError);
      return;
    }
    // Old clients send no request id: their data stream's id follows that of its error stream.
    const key = stream.headers.get('requestid') ?? `#${type === 'error' ? stream.id : stream.id - 2}`;
    const pair = this.#pairs.get(key) ?? this.#addPair(key, port);
    if (pair[type] !== undefined || pair.port !== port) {
      stream.reset(resetStatus.protocolError);
      return;
    }
    pair[type] = stream;
    stream.accept(type === 'data' ? dataHandler(pair.session) : errorHandler);
    if (pair.data === undefined || pair.error === undefined) return;
    clearTimeout(pair.creation);
    pair.session.begin();
  }

  #addPair(key: string, port: number): Pair {
    const { dial, limits, log, request } = this.#options;
    const session = new ForwardSession({
      port,
      sandboxId: request.sandboxId,
      limits,
      log,
      dial: (signal) => dial(port, signal),
      transport: {
        send: (chunk) => pair.data?.write(chunk) ?? true,
        holdInput: (held) => {
          if (held) this.#connection.hold(pair);
          else this.#connection.release(pair);
        },
        end: () => {
          pair.data?.end();
          pair.error?.end();
        },
        fail: (message) => {
          pair.failed = true;
          // The error first: the Go client looks for it once the data stream has ended.
          pair.error?.write(Buffer.from(message));
          pair.error?.end();
          pair.data?.end();
        },
        done: () => this.#forget(pair),
      },
    });
    const pair: Pair = {
      key,
      port,
      session,
      creation: setTimeout(() => session.reset(), limits.streamCreationMs),
    };
    this.#pairs.set(key, pair);
    return pair;
  }

  #forget(pair: Pair): void {
    clearTimeout(pair.creation);
    this.#connection.release(pair);
    this.#pairs.delete(pair.key);
    // Streams that both sides have ended are gone already. After a failed dial the client still has to read the error,
    // which its own reset or the end of the connection follows.
    if (pair.failed !== true) {
      pair.data?.reset(resetStatus.cancel);
      pair.error?.reset(resetStatus.cancel);
    }
    this.#finishIfIdle();
  }

  #finishIfIdle(): void {
    if (this.#goingAway && this.#pairs.size === 0) this.#connection.finish();
  }
}

function dataHandler(session: ForwardSession): SpdyStreamHandler {
  return {
    data: (chunk) => session.data(chunk),
    fin: () => session.fin(),
    reset: () => session.reset(),
  };
}

/** Clients only read this stream: nothing on it matters. */
const errorHandler: SpdyStreamHandler = {
  data: () => undefined,
  fin: () => undefined,
  reset: () => undefined,
};
