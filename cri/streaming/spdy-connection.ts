import type { StreamingLimits } from './limits.ts';
import type { Link, LinkEnd } from './link.ts';
import {
  dataFrameHead,
  goawayFrame,
  pingFrame,
  type ResetStatus,
  resetStatus,
  rstStreamFrame,
  SpdyDecoder,
  SpdyEncoder,
  type SpdyEvent,
} from './spdy-frames.ts';
import type { SpdyHeaders } from './spdy-headers.ts';

/** Replies that may wait for a client that reads nothing before its own bytes are no longer read. */
const maxReplyBytes = 1024 * 1024;

/** What a stream's owner wants to know. No call comes after `reset`, nor after the connection's `onClosed`. */
export interface SpdyStreamHandler {
  data(chunk: Buffer): void;
  /** The client half-closed: no more data. */
  fin(): void;
  /** The client gave the stream up in both directions. */
  reset(): void;
}

/** One stream that the client opened. */
export interface SpdyStream {
  readonly id: number;
  readonly headers: SpdyHeaders;
  /** Accepts the stream. Data before the handler is set would be lost, so set it at once. */
  accept(handler: SpdyStreamHandler): void;
  /** False: hold back until the connection's `onDrain`. Ignored once our side is closed. */
  write(chunk: Buffer): boolean;
  /** Half-closes our side. Idempotent. */
  end(): void;
  /** Gives the stream up in both directions. Idempotent. */
  reset(status: ResetStatus): void;
}

export interface SpdyConnectionOptions {
  readonly link: Link;
  readonly limits: StreamingLimits;
  /** A new stream: accept it, perhaps later, or reset it. */
  readonly onStream: (stream: SpdyStream) => void;
  readonly onDrain: () => void;
  /** The client announced that it opens no more streams. */
  readonly onGoaway: () => void;
  /** Called once, last. */
  readonly onClosed: (cause: LinkEnd) => void;
}

interface StreamState {
  handler: SpdyStreamHandler | undefined;
  localOpen: boolean;
  remoteOpen: boolean;
}

/**
 * The server's end of one SPDY connection, as the Kubernetes clients use it: they open all streams, and there is no flow
 * control, so a stream that cannot take more holds the whole connection back (TCP backpressure).
 */
export class SpdyConnection {
  readonly #options: SpdyConnectionOptions;
  readonly #link: Link;
  readonly #decoder: SpdyDecoder;
  readonly #encoder = new SpdyEncoder();
  readonly #streams = new Map<number, StreamState>();
  readonly #holders = new Set<unknown>();
  #lastStreamId = 0;
  #finished = false;
  #probe: NodeJS.Timeout | undefined;

  constructor(options: SpdyConnectionOptions) {
    this.#options = options;
    this.#link = options.link;
    this.#decoder = new SpdyDecoder((event) => this.#handle(event));
  }

  /** Begins to read. */
  open(): void {
    this.#link.open({
      data: (chunk) => this.#receive(chunk),
      drain: () => {
        this.release(this);
        this.#options.onDrain();
      },
      closed: (cause) => this.#closed(cause),
    });
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  get queuedBytes(): number {
    return this.#link.queuedBytes;
  }

  /** Stops reading the client until every holder has released it. */
  hold(holder: unknown): void {
    if (this.#finished) return;
    if (this.#holders.size === 0) {
      this.#link.pause();
      this.#probe = setInterval(() => this.#probeClient(), this.#options.limits.probeMs);
    }
    this.#holders.add(holder);
  }

  release(holder: unknown): void {
    if (!this.#holders.delete(holder) || this.#holders.size > 0) return;
    clearInterval(this.#probe);
    this.#link.resume();
  }

  /**
   * Says goodbye, sends what is queued and closes. Streams still open are reset first: the Go clients wait for every
   * stream before they close their side.
   */
  finish(): void {
    if (this.#finished) return;
    for (const [id, stream] of this.#streams) {
      if (stream.localOpen) this.#link.write(rstStreamFrame(id, resetStatus.cancel));
    }
    this.#link.write(goawayFrame(this.#lastStreamId, 0));
    this.#forget();
    this.#link.finish();
  }

  /** Closes at once. Idempotent. */
  destroy(cause: LinkEnd): void {
    this.#forget();
    this.#link.destroy(cause);
  }

  #forget(): void {
    this.#finished = true;
    this.#streams.clear();
    this.#holders.clear();
    clearInterval(this.#probe);
  }

  #closed(cause: LinkEnd): void {
    this.#forget();
    this.#options.onClosed(cause);
  }

  #receive(chunk: Buffer): void {
    if (this.#finished) return;
    try {
      this.#decoder.push(chunk);
    } catch {
      // A ProtocolError, or a mistake of ours that must not reach other clients either: in both cases this
      // connection's state is lost.
      this.destroy('protocol');
    }
  }

  #handle(event: SpdyEvent): void {
    if (this.#finished) return;
    switch (event.type) {
      case 'data':
        this.#handleData(event.streamId, event.chunk, event.fin);
        return;
      case 'syn-stream':
        this.#handleSynStream(event);
        return;
      case 'rst-stream': {
        const stream = this.#streams.get(event.streamId);
        this.#streams.delete(event.streamId);
        stream?.handler?.reset();
        return;
      }
      case 'ping':
        // Even ids would be answers to pings of ours, which we do not send.
        if (event.id % 2 === 1) this.#reply(pingFrame(event.id));
        return;
      case 'goaway':
        this.#options.onGoaway();
        return;
      case 'headers':
        if (event.fin) this.#handleData(event.streamId, Buffer.alloc(0), true);
        return;
      case 'syn-reply':
        // We open no streams.
        return;
    }
  }

  #handleData(streamId: number, chunk: Buffer, fin: boolean): void {
    // Data of a stream that is gone may still be on its way; Go drops it too.
    const stream = this.#streams.get(streamId);
    if (stream === undefined || !stream.remoteOpen) return;
    if (chunk.length > 0) stream.handler?.data(chunk);
    if (!fin || !this.#streams.has(streamId)) return;
    stream.remoteOpen = false;
    if (!stream.localOpen) this.#streams.delete(streamId);
    stream.handler?.fin();
  }

  #handleSynStream(event: Extract<SpdyEvent, { type: 'syn-stream' }>): void {
    const id = event.streamId;
    if (id % 2 === 0 || id <= this.#lastStreamId) {
      this.#reply(rstStreamFrame(id, resetStatus.protocolError));
      return;
    }
    this.#lastStreamId = id;
    if (this.#streams.size >= this.#options.limits.maxStreams) {
      this.#reply(rstStreamFrame(id, resetStatus.refusedStream));
      return;
    }
    const state: StreamState = {
      handler: undefined,
      localOpen: !event.unidirectional,
      remoteOpen: !event.fin,
    };
    this.#streams.set(id, state);
    this.#options.onStream({
      id,
      headers: event.headers,
      accept: (handler) => this.#accept(id, state, handler),
      write: (chunk) =>
        !state.localOpen || !this.#streams.has(id)
          ? true
          : this.#link.write(dataFrameHead(id, chunk.length, false), chunk),
      end: () => this.#end(id, state),
      reset: (status) => {
        if (this.#streams.delete(id)) this.#reply(rstStreamFrame(id, status));
      },
    });
  }

  #accept(id: number, state: StreamState, handler: SpdyStreamHandler): void {
    if (!this.#streams.has(id)) return;
    state.handler = handler;
    this.#reply(this.#encoder.synReply(id));
    // FIN on the SYN_STREAM itself: the client will send nothing on it.
    if (!state.remoteOpen) handler.fin();
  }

  #end(id: number, state: StreamState): void {
    if (!state.localOpen || !this.#streams.has(id)) return;
    state.localOpen = false;
    if (!state.remoteOpen) this.#streams.delete(id);
    this.#link.write(dataFrameHead(id, 0, true));
  }

  /** Sends an answer to something the client sent; a client that asks on without reading the answers is held back. */
  #reply(frame: Buffer): void {
    this.#link.write(frame);
    if (this.#link.queuedBytes > this.#link.outputLimitBytes + maxReplyBytes) this.hold(this);
  }

  /**
   * While we do not read, a client that has gone shows only when something is sent to it. An empty data frame says
   * nothing; a PING would want an answer, which a client blocked in a write cannot give without stopping its reads.
   */
  #probeClient(): void {
    if (this.#link.queuedBytes > 0) return;
    for (const [id, stream] of this.#streams) {
      if (!stream.localOpen || stream.handler === undefined) continue;
      this.#link.write(dataFrameHead(id, 0, false));
      return;
    }
  }
}
