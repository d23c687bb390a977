import type { StreamingLimits } from './limits.ts';
import type { Link, LinkEnd, LinkHandler } from './link.ts';
import { closeFrame, frameHead, opcode, WebSocketDecoder, type WebSocketEvent } from './websocket-frames.ts';

/** Pongs that may wait for a client that reads nothing before its own bytes are no longer read. */
const maxReplyBytes = 1024 * 1024;

export const closeCode = { normal: 1000, protocolError: 1002, internalError: 1011 } as const;

export type WebSocketMessagePiece = Extract<WebSocketEvent, { type: 'data' }>;

export interface WebSocketConnectionOptions {
  readonly link: Link;
  readonly limits: StreamingLimits;
  /** May throw ProtocolError, which closes the connection. */
  readonly onMessage: (piece: WebSocketMessagePiece) => void;
  readonly onDrain: () => void;
  /** Called once, last. */
  readonly onClosed: (cause: LinkEnd) => void;
}

/** The server's end of one WebSocket connection (RFC 6455) after its handshake. */
export class WebSocketConnection {
  readonly #options: WebSocketConnectionOptions;
  readonly #link: Link;
  readonly #decoder: WebSocketDecoder;
  readonly #holders = new Set<unknown>();
  #finished = false;
  #probe: NodeJS.Timeout | undefined;

  constructor(options: WebSocketConnectionOptions) {
    this.#options = options;
    this.#link = options.link;
    this.#decoder = new WebSocketDecoder(true, (event) => this.#handle(event));
  }

  /** Begins to read. */
  open(): void {
    this.#link.open({
      data: (chunk) => this.#receive(chunk),
      drain: () => {
        this.release(this);
        this.#options.onDrain();
      },
      closed: (cause) => {
        this.#forget();
        this.#options.onClosed(cause);
      },
    });
  }

  get queuedBytes(): number {
    return this.#link.queuedBytes;
  }

  get outputLimitBytes(): number {
    return this.#link.outputLimitBytes;
  }

  set outputLimitBytes(value: number) {
    this.#link.outputLimitBytes = value;
  }

  /** Sends whole frames. False: hold back until `onDrain`. */
  readonly write = (...parts: Buffer[]): boolean => (this.#finished ? true : this.#link.write(...parts));

  /** Stops reading the client until every holder has released it. */
  hold(holder: unknown): void {
    if (this.#finished) return;
    if (this.#holders.size === 0) {
      this.#link.pause();
      // A pong nobody asked for is allowed (section 5.5.3), and shows whether the client is still there.
      this.#probe = setInterval(() => {
        if (this.#link.queuedBytes === 0) this.#link.write(frameHead(opcode.pong, 0));
      }, this.#options.limits.probeMs);
    }
    this.#holders.add(holder);
  }

  release(holder: unknown): void {
    if (!this.#holders.delete(holder) || this.#holders.size > 0) return;
    clearInterval(this.#probe);
    this.#link.resume();
  }

  /** Sends a close frame after what is queued, then closes. Idempotent. */
  finish(code: number, reason = ''): void {
    if (this.#finished) return;
    this.#forget();
    this.#link.write(closeFrame(code, reason));
    this.#link.finish();
  }

  /** Closes at once. Idempotent. */
  destroy(cause: LinkEnd): void {
    this.#forget();
    this.#link.destroy(cause);
  }

  #forget(): void {
    this.#finished = true;
    this.#holders.clear();
    clearInterval(this.#probe);
  }

  #receive(chunk: Buffer): void {
    if (this.#finished) return;
    try {
      this.#decoder.push(chunk);
    } catch {
      // A ProtocolError, or a mistake of ours that must not reach other clients either: in both cases this
      // connection's state is lost.
      if (!this.#finished) this.#link.write(closeFrame(closeCode.protocolError));
      this.destroy('protocol');
    }
  }

  #handle(event: WebSocketEvent): void {
    if (this.#finished) return;
    switch (event.type) {
      case 'data':
        this.#options.onMessage(event);
        return;
      case 'ping':
        this.#link.write(frameHead(opcode.pong, event.payload.length), event.payload);
        if (this.#link.queuedBytes > this.#link.outputLimitBytes + maxReplyBytes) this.hold(this);
        return;
      case 'pong':
        return;
      case 'close':
        // The answer is a courtesy: the client has said that it reads nothing more.
        this.#link.write(closeFrame(event.code === 1005 ? closeCode.normal : event.code));
        this.destroy('peer');
        return;
    }
  }
}

/**
 * A Link inside a WebSocket connection: the binary messages of either side are one byte stream, whatever their limits
 * (subprotocol `SPDY/3.1+portforward.k8s.io`).
 */
export class WebSocketTunnel implements Link {
  readonly #connection: WebSocketConnection;
  #handler: LinkHandler | undefined;

  constructor(link: Link, limits: StreamingLimits) {
    this.#connection = new WebSocketConnection({
      link,
      limits,
      onMessage: (piece) => {
        if (piece.chunk.length > 0) this.#handler?.data(piece.chunk);
      },
      onDrain: () => this.#handler?.drain(),
      onClosed: (cause) => this.#handler?.closed(cause),
    });
  }

  open(handler: LinkHandler): void {
    this.#handler = handler;
    this.#connection.open();
  }

  get queuedBytes(): number {
    return this.#connection.queuedBytes;
  }

  get outputLimitBytes(): number {
    return this.#connection.outputLimitBytes;
  }

  set outputLimitBytes(value: number) {
    this.#connection.outputLimitBytes = value;
  }

  write(...parts: Buffer[]): boolean {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    return this.#connection.write(frameHead(opcode.binary, length), ...parts);
  }

  pause(): void {
    this.#connection.hold(this);
  }

  resume(): void {
    this.#connection.release(this);
  }

  finish(): void {
    this.#connection.finish(closeCode.normal);
  }

  destroy(cause: LinkEnd): void {
    this.#connection.destroy(cause);
  }
}
