import type { Socket } from 'node:net';
import type { StreamingLimits } from './limits.ts';

/**
 * The byte stream under a streaming connection: a TCP or TLS socket after its upgrade, or a WebSocket that carries one
 * (port-forward tunnel).
 */
export interface Link {
  /** Begins to deliver. Called once. */
  open(handler: LinkHandler): void;
  /**
   * Queues `parts` to be sent together, without copying. False when more than `outputLimitBytes` wait: hold back until
   * `drain`. Nothing is sent, and true returned, once the link is finished or destroyed.
   */
  write(...parts: Buffer[]): boolean;
  readonly queuedBytes: number;
  outputLimitBytes: number;
  /** Stops and goes on reading, for backpressure. A few chunks may still arrive. */
  pause(): void;
  resume(): void;
  /** Sends what is queued, then closes; what arrives meanwhile is discarded. Bounded in time. Idempotent. */
  finish(): void;
  /** Closes at once. Idempotent. */
  destroy(cause: LinkEnd): void;
}

export type LinkEnd =
  /** The client closed, or its connection broke. */
  | 'peer'
  /** Our side finished and everything was sent. */
  | 'finished'
  /** The client did not take the last bytes in time. */
  | 'stalled'
  | 'idle'
  /** The client broke the protocol. */
  | 'protocol'
  | 'stopped';

export interface LinkHandler {
  /** The chunk belongs to the handler. Must not throw. */
  data(chunk: Buffer): void;
  /** All queued bytes were handed to the kernel after `write` had returned false. */
  drain(): void;
  /** Called once, last. */
  closed(cause: LinkEnd): void;
}

/** A Link over a socket taken from the HTTP server. */
export class SocketLink implements Link {
  outputLimitBytes: number;
  readonly #socket: Socket;
  readonly #head: Buffer;
  readonly #limits: StreamingLimits;
  #handler: LinkHandler | undefined;
  #finishing = false;
  #cause: LinkEnd | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `head`: bytes that came after the upgrade request and belong to the new protocol. */
  constructor(socket: Socket, head: Buffer, limits: StreamingLimits) {
    this.#socket = socket;
    this.#head = head;
    this.#limits = limits;
    this.outputLimitBytes = limits.outputBytes;
  }

  open(handler: LinkHandler): void {
    this.#handler = handler;
    const socket = this.#socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    socket.setTimeout(this.#limits.idleMs, () => this.destroy('idle'));
    socket.on('data', (chunk: Buffer) => {
      if (!this.#finishing) handler.data(chunk);
    });
    socket.on('drain', () => {
      if (!this.#finishing) handler.drain();
    });
    // Neither protocol has half-closed connections: a client that ended has left.
    socket.on('end', () => {
      if (!this.#finishing) this.destroy('peer');
    });
    // What went wrong matters to nobody: 'close' follows, and the client is gone.
    socket.on('error', () => this.#fail('peer'));
    socket.once('close', () => this.#closed());
    if (socket.destroyed) queueMicrotask(() => this.#closed());
    else if (this.#head.length > 0) handler.data(this.#head);
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  write(...parts: Buffer[]): boolean {
    const socket = this.#socket;
    if (this.#finishing || socket.destroyed) return true;
    if (parts.length === 1) socket.write(parts[0]!);
    else {
      // One writev for the frame head and a payload that stays where it was read.
      socket.cork();
      for (const part of parts) socket.write(part);
      socket.uncork();
    }
    // The socket emits 'drain' if it ever said no, which it does far below our limit.
    return (
      socket.writableLength <= this.outputLimitBytes || socket.writableLength < socket.writableHighWaterMark
    );
  }

  pause(): void {
    if (!this.#finishing) this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  finish(): void {
    if (this.#finishing || this.#socket.destroyed) return;
    this.#finishing = true;
    const socket = this.#socket;
    // Unread input would turn our close into a reset, which may overtake the last bytes on their way to the client.
    socket.resume();
    this.#timer = setTimeout(() => this.destroy('stalled'), this.#limits.drainMs);
    socket.end(() => {
      clearTimeout(this.#timer);
      if (!socket.destroyed) this.#timer = setTimeout(() => this.destroy('finished'), this.#limits.lingerMs);
    });
  }

  destroy(cause: LinkEnd): void {
    this.#fail(cause);
    this.#socket.destroy();
  }

  #fail(cause: LinkEnd): void {
    this.#cause ??= cause;
  }

  #closed(): void {
    clearTimeout(this.#timer);
    this.#socket.setTimeout(0);
    const handler = this.#handler;
    this.#handler = undefined;
    handler?.closed(this.#cause ?? (this.#finishing ? 'finished' : 'peer'));
  }
}
