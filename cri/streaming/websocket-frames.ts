import { ProtocolError } from './protocol-error.ts';

/**
 * WebSocket frames (RFC 6455, section 5): bytes in, events out. Message payloads are handed on as they arrive, whatever
 * the frames and fragments they come in, so that no message size costs memory. Extensions are never negotiated.
 */

export type WebSocketEvent =
  /** A piece of a data message; it may be empty. `last` ends the message. */
  | {
      readonly type: 'data';
      readonly text: boolean;
      readonly chunk: Buffer;
      readonly first: boolean;
      readonly last: boolean;
    }
  | { readonly type: 'ping'; readonly payload: Buffer }
  | { readonly type: 'pong'; readonly payload: Buffer }
  /** `code` is 1005 when the peer gave none (section 7.1.5). */
  | { readonly type: 'close'; readonly code: number; readonly reason: string };

export const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
export type Opcode = (typeof opcode)[keyof typeof opcode];

const maxControlPayload = 125;
const emptyChunk = Buffer.alloc(0);

/** Decodes one direction of a connection. After a ProtocolError it must not be used again. */
export class WebSocketDecoder {
  readonly #emit: (event: WebSocketEvent) => void;
  readonly #masked: boolean;
  readonly #head = Buffer.alloc(14);
  #headFill = 0;
  #headNeed = 2;
  #inPayload = false;
  #final = false;
  #opcode = 0;
  #remaining = 0;
  #consumed = 0;
  #message: 'text' | 'binary' | undefined;
  #messageStarted = false;
  #control: Buffer = emptyChunk;

  /** `masked`: whether the peer must mask its frames: a client must, a server must not (section 5.1). */
  constructor(masked: boolean, emit: (event: WebSocketEvent) => void) {
    this.#masked = masked;
    this.#emit = emit;
  }

  /**
   * Takes the next bytes, which may end anywhere, and emits what they complete. Unmasks in place: `chunk` belongs to
   * the decoder. Throws ProtocolError.
   */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#inPayload) at = this.#readPayload(chunk, at);
      else at = this.#readHead(chunk, at);
    }
  }

  #readHead(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#headNeed - this.#headFill, chunk.length - at);
    chunk.copy(this.#head, this.#headFill, at, at + taken);
    this.#headFill += taken;
    if (this.#headFill === this.#headNeed) {
      if (this.#headFill === 2) this.#headNeed = this.#headLength();
      if (this.#headFill === this.#headNeed) this.#startFrame();
    }
    return at + taken;
  }

  #headLength(): number {
    const length = this.#head[1]! & 0x7f;
    const masked = (this.#head[1]! & 0x80) !== 0;
    if (masked !== this.#masked) throw new ProtocolError(masked ? 'masked frame' : 'frame without a mask');
    return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + (masked ? 4 : 0);
  }

  #startFrame(): void {
    const head = this.#head;
    if ((head[0]! & 0x70) !== 0) throw new ProtocolError('reserved bits set');
    this.#final = (head[0]! & 0x80) !== 0;
    this.#opcode = head[0]! & 0x0f;
    const short = head[1]! & 0x7f;
    this.#remaining = short;
    if (short === 126) this.#remaining = head.readUInt16BE(2);
    else if (short === 127) {
      if (head.readUInt32BE(2) > 0x1fffff) throw new ProtocolError('frame length out of range');
      this.#remaining = head.readUInt32BE(2) * 2 ** 32 + head.readUInt32BE(6);
    }
    this.#consumed = 0;
    this.#headFill = 0;
    // The mask stays readable at the end of the head until the next frame begins.
    this.#checkOpcode();
    if (this.#remaining > 0) this.#inPayload = true;
    else this.#endOfChunk(emptyChunk);
    if (!this.#inPayload) this.#headNeed = 2;
  }

  #checkOpcode(): void {
    if (this.#opcode >= opcode.close) {
      if (this.#opcode > opcode.pong) throw new ProtocolError(`opcode ${this.#opcode}`);
      if (!this.#final || this.#remaining > maxControlPayload) throw new ProtocolError('bad control frame');
      this.#control = emptyChunk;
    } else if (this.#opcode === opcode.continuation) {
      if (this.#message === undefined) throw new ProtocolError('continuation of no message');
    } else if (this.#opcode <= opcode.binary) {
      if (this.#message !== undefined) throw new ProtocolError('message inside a message');
      this.#message = this.#opcode === opcode.text ? 'text' : 'binary';
      this.#messageStarted = false;
    } else throw new ProtocolError(`opcode ${this.#opcode}`);
  }

  #readPayload(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#remaining, chunk.length - at);
    const piece = chunk.subarray(at, at + taken);
    if (this.#masked) unmask(piece, this.#head, this.#headNeed - 4, this.#consumed);
    this.#consumed += taken;
    this.#remaining -= taken;
    if (this.#remaining === 0) {
      this.#inPayload = false;
      this.#headNeed = 2;
    }
    this.#endOfChunk(piece);
    return at + taken;
  }

  #endOfChunk(piece: Buffer): void {
    if (this.#opcode >= opcode.close) {
      this.#control = this.#control.length === 0 ? piece : Buffer.concat([this.#control, piece]);
      if (this.#remaining === 0) this.#emitControl(this.#control);
      return;
    }
    const first = !this.#messageStarted;
    const text = this.#message === 'text';
    const last = this.#final && this.#remaining === 0;
    this.#messageStarted = true;
    if (last) this.#message = undefined;
    this.#emit({ type: 'data', text, chunk: piece, first, last });
  }

  #emitControl(payload: Buffer): void {
    if (this.#opcode === opcode.ping) this.#emit({ type: 'ping', payload });
    else if (this.#opcode === opcode.pong) this.#emit({ type: 'pong', payload });
    else {
      if (payload.length === 1) throw new ProtocolError('close frame of one byte');
      const code = payload.length === 0 ? 1005 : payload.readUInt16BE(0);
      this.#emit({ type: 'close', code, reason: payload.toString('utf8', 2) });
    }
  }
}

/**
 * Applies the four mask bytes at `maskAt` of `mask` to `piece` in place, where `piece` starts `offset` bytes into its
 * frame (section 5.3). Whole words at a time: this runs over every byte that a client sends.
 */
export function unmask(piece: Buffer, mask: Buffer, maskAt: number, offset: number): void {
  let at = 0;
  const length = piece.length;
  while (at < length && ((piece.byteOffset + at) & 3) !== 0) {
    piece[at] = piece[at]! ^ mask[maskAt + ((offset + at) & 3)]!;
    at++;
  }
  const words = (length - at) >>> 2;
  if (words > 0) {
    const rotated = Buffer.alloc(4);
    for (let i = 0; i < 4; i++) rotated[i] = mask[maskAt + ((offset + at + i) & 3)]!;
    // Typed arrays and the rotated mask are both in the machine's byte order.
    const word = new Int32Array(rotated.buffer, rotated.byteOffset, 1)[0]!;
    const view = new Int32Array(piece.buffer, piece.byteOffset + at, words);
    for (let i = 0; i < words; i++) view[i] = view[i]! ^ word;
    at += words * 4;
  }
  while (at < length) {
    piece[at] = piece[at]! ^ mask[maskAt + ((offset + at) & 3)]!;
    at++;
  }
}

/** The bytes before the payload of an unmasked, unfragmented frame, with room for `extraBytes` after them. */
export function frameHead(code: Opcode, lengthBytes: number, extraBytes = 0): Buffer {
  const size = lengthBytes < 126 ? 2 : lengthBytes < 65536 ? 4 : 10;
  const head = Buffer.allocUnsafe(size + extraBytes);
  head[0] = 0x80 | code;
  if (size === 2) head[1] = lengthBytes;
  else if (size === 4) {
    head[1] = 126;
    head.writeUInt16BE(lengthBytes, 2);
  } else {
    head[1] = 127;
    head.writeUInt32BE(Math.floor(lengthBytes / 2 ** 32), 2);
    head.writeUInt32BE(lengthBytes % 2 ** 32, 6);
  }
  return head;
}

/** A whole close frame (section 5.5.1). */
export function closeFrame(code: number, reason = ''): Buffer {
  const text = Buffer.from(reason).subarray(0, maxControlPayload - 2);
  const frame = Buffer.concat([frameHead(opcode.close, 2 + text.length, 2), text]);
  frame.writeUInt16BE(code, 2);
  return frame;
}
