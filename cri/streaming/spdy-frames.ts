import { ProtocolError } from './protocol-error.ts';
import { SpdyHeaderDecoder, SpdyHeaderEncoder, type SpdyHeaders } from './spdy-headers.ts';

/**
 * SPDY/3.1 frames as the Kubernetes clients speak them: bytes in, events out. The payload of a data frame is handed on
 * as it arrives and never gathered, so that a frame of 16 MiB costs no memory; control frames are gathered up to 64 KiB.
 */

export type SpdyEvent =
  | {
      readonly type: 'syn-stream';
      readonly streamId: number;
      readonly fin: boolean;
      readonly unidirectional: boolean;
      readonly headers: SpdyHeaders;
    }
  | {
      readonly type: 'syn-reply';
      readonly streamId: number;
      readonly fin: boolean;
      readonly headers: SpdyHeaders;
    }
  | {
      readonly type: 'headers';
      readonly streamId: number;
      readonly fin: boolean;
      readonly headers: SpdyHeaders;
    }
  | { readonly type: 'rst-stream'; readonly streamId: number; readonly status: number }
  | { readonly type: 'ping'; readonly id: number }
  | { readonly type: 'goaway'; readonly lastStreamId: number; readonly status: number }
  /** A piece of a data frame; `fin` is set on its last piece only, which may be empty. */
  | { readonly type: 'data'; readonly streamId: number; readonly chunk: Buffer; readonly fin: boolean };

export const resetStatus = {
  protocolError: 1,
  invalidStream: 2,
  refusedStream: 3,
  cancel: 5,
  internalError: 6,
} as const;
export type ResetStatus = (typeof resetStatus)[keyof typeof resetStatus];

const controlType = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  headers: 8,
  windowUpdate: 9,
} as const;
const flagFin = 0x01;
const flagUnidirectional = 0x02;
const frameHeadBytes = 8;
const maxControlBytes = 64 * 1024;
const maxDataBytes = 0xffffff;
const streamIdMask = 0x7fffffff;
const emptyChunk = Buffer.alloc(0);

/** Decodes one direction of a connection. After a ProtocolError it must not be used again. */
export class SpdyDecoder {
  readonly #emit: (event: SpdyEvent) => void;
  readonly #headers = new SpdyHeaderDecoder();
  readonly #head = Buffer.alloc(frameHeadBytes);
  #headFill = 0;
  #state: 'head' | 'data' | 'control' = 'head';
  #remaining = 0;
  #flags = 0;
  #streamId = 0;
  #controlType = 0;
  #control: Buffer | undefined;

  constructor(emit: (event: SpdyEvent) => void) {
    this.#emit = emit;
  }

  /** Takes the next bytes, which may end anywhere, and emits what they complete. Throws ProtocolError. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#state === 'head') at = this.#readHead(chunk, at);
      else if (this.#state === 'data') at = this.#readData(chunk, at);
      else at = this.#readControl(chunk, at);
    }
  }

  #readHead(chunk: Buffer, at: number): number {
    if (this.#headFill === 0 && chunk.length - at >= frameHeadBytes) {
      this.#startFrame(chunk, at);
      return at + frameHeadBytes;
    }
    const taken = Math.min(frameHeadBytes - this.#headFill, chunk.length - at);
    chunk.copy(this.#head, this.#headFill, at, at + taken);
    this.#headFill += taken;
    if (this.#headFill === frameHeadBytes) {
      this.#headFill = 0;
      this.#startFrame(this.#head, 0);
    }
    return at + taken;
  }

  #startFrame(head: Buffer, at: number): void {
    const first = head.readUInt32BE(at);
    this.#flags = head[at + 4]!;
    this.#remaining = head.readUIntBE(at + 5, 3);
    if (first >>> 31 === 0) {
      if (first === 0) throw new ProtocolError('data frame for stream 0');
      this.#streamId = first;
      if (this.#remaining > 0) this.#state = 'data';
      else if ((this.#flags & flagFin) !== 0) this.#emitData(emptyChunk, true);
      return;
    }
    const version = (first >>> 16) & 0x7fff;
    if (version !== 3) throw new ProtocolError(`control frame of version ${version}`);
    if (this.#remaining > maxControlBytes)
      throw new ProtocolError(`control frame of ${this.#remaining} bytes`);
    this.#controlType = first & 0xffff;
    if (this.#remaining === 0) this.#handleControl(emptyChunk);
    else this.#state = 'control';
  }

  #readData(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#remaining, chunk.length - at);
    this.#remaining -= taken;
    const complete = this.#remaining === 0;
    if (complete) this.#state = 'head';
    const piece = taken === chunk.length ? chunk : chunk.subarray(at, at + taken);
    this.#emitData(piece, complete && (this.#flags & flagFin) !== 0);
    return at + taken;
  }

  #emitData(chunk: Buffer, fin: boolean): void {
    this.#emit({ type: 'data', streamId: this.#streamId, chunk, fin });
  }

  #readControl(chunk: Buffer, at: number): number {
    const available = chunk.length - at;
    if (this.#control === undefined && available >= this.#remaining) {
      const end = at + this.#remaining;
      this.#state = 'head';
      this.#handleControl(chunk.subarray(at, end));
      return end;
    }
    this.#control ??= Buffer.allocUnsafe(this.#remaining);
    const taken = Math.min(this.#remaining, available);
    chunk.copy(this.#control, this.#control.length - this.#remaining, at, at + taken);
    this.#remaining -= taken;
    if (this.#remaining === 0) {
      const payload = this.#control;
      this.#control = undefined;
      this.#state = 'head';
      this.#handleControl(payload);
    }
    return at + taken;
  }

  #handleControl(payload: Buffer): void {
    const fin = (this.#flags & flagFin) !== 0;
    switch (this.#controlType) {
      case controlType.synStream: {
        if (payload.length < 10) throw new ProtocolError('SYN_STREAM cut short');
        const unidirectional = (this.#flags & flagUnidirectional) !== 0;
        const headers = this.#headers.decode(payload.subarray(10));
        this.#emit({ type: 'syn-stream', streamId: streamIdOf(payload), fin, unidirectional, headers });
        return;
      }
      case controlType.synReply:
      case controlType.headers: {
        if (payload.length < 4) throw new ProtocolError('header frame cut short');
        const type = this.#controlType === controlType.synReply ? 'syn-reply' : 'headers';
        const headers = this.#headers.decode(payload.subarray(4));
        this.#emit({ type, streamId: streamIdOf(payload), fin, headers });
        return;
      }
      case controlType.rstStream:
        expectLength(payload, 8, 'RST_STREAM');
        this.#emit({ type: 'rst-stream', streamId: streamIdOf(payload), status: payload.readUInt32BE(4) });
        return;
      case controlType.ping:
        expectLength(payload, 4, 'PING');
        this.#emit({ type: 'ping', id: payload.readUInt32BE(0) });
        return;
      case controlType.goaway:
        expectLength(payload, 8, 'GOAWAY');
        this.#emit({
          type: 'goaway',
          lastStreamId: payload.readUInt32BE(0) & streamIdMask,
          status: payload.readUInt32BE(4),
        });
        return;
      case controlType.windowUpdate:
        // There is no flow control in the dialect of the Kubernetes clients.
        expectLength(payload, 8, 'WINDOW_UPDATE');
        return;
      case controlType.settings:
        return;
      default:
        throw new ProtocolError(`control frame of unknown type ${this.#controlType}`);
    }
  }
}

function streamIdOf(payload: Buffer): number {
  const id = payload.readUInt32BE(0) & streamIdMask;
  if (id === 0) throw new ProtocolError('control frame for stream 0');
  return id;
}

function expectLength(payload: Buffer, length: number, name: string): void {
  if (payload.length !== length) throw new ProtocolError(`${name} of ${payload.length} bytes`);
}

/** Encodes one direction of a connection. Header frames must be written in the order they are encoded. */
export class SpdyEncoder {
  readonly #headers = new SpdyHeaderEncoder();

  synStream(streamId: number, headers: Iterable<readonly [string, string]>): Buffer {
    const block = this.#headers.encode(headers);
    const frame = controlFrame(controlType.synStream, 10 + block.length);
    frame.writeUInt32BE(streamId, frameHeadBytes);
    block.copy(frame, frameHeadBytes + 10);
    return frame;
  }

  synReply(streamId: number): Buffer {
    const block = this.#headers.encode([]);
    const frame = controlFrame(controlType.synReply, 4 + block.length);
    frame.writeUInt32BE(streamId, frameHeadBytes);
    block.copy(frame, frameHeadBytes + 4);
    return frame;
  }
}

function controlFrame(type: number, length: number): Buffer {
  const frame = Buffer.alloc(frameHeadBytes + length);
  frame.writeUInt32BE((0x80030000 | type) >>> 0, 0);
  frame.writeUIntBE(length, 5, 3);
  return frame;
}

/** The eight bytes before a data frame's payload. Throws RangeError above 2^24 - 1 bytes. */
export function dataFrameHead(streamId: number, lengthBytes: number, fin: boolean): Buffer {
  if (lengthBytes > maxDataBytes) throw new RangeError(`data frame of ${lengthBytes} bytes`);
  const head = Buffer.allocUnsafe(frameHeadBytes);
  head.writeUInt32BE(streamId, 0);
  head.writeUInt32BE(((fin ? flagFin : 0) << 24) | lengthBytes, 4);
  return head;
}

export function rstStreamFrame(streamId: number, status: ResetStatus): Buffer {
  const frame = controlFrame(controlType.rstStream, 8);
  frame.writeUInt32BE(streamId, frameHeadBytes);
  frame.writeUInt32BE(status, frameHeadBytes + 4);
  return frame;
}

export function pingFrame(id: number): Buffer {
  const frame = controlFrame(controlType.ping, 4);
  frame.writeUInt32BE(id, frameHeadBytes);
  return frame;
}

export function goawayFrame(lastStreamId: number, status: 0 | 1 | 2): Buffer {
  const frame = controlFrame(controlType.goaway, 8);
  frame.writeUInt32BE(lastStreamId, frameHeadBytes);
  frame.writeUInt32BE(status, frameHeadBytes + 4);
  return frame;
}
