import { ProtocolError } from './protocol-error.ts';
import { frameHead, opcode, type WebSocketEvent } from './websocket-frames.ts';

/**
 * The channel protocols of Kubernetes inside WebSocket messages: each message is one channel byte and its payload. In the
 * base64 variants the message is text, the channel an ASCII digit and the payload standard base64. Version 5 adds the
 * message [255, channel], which half-closes that channel.
 */

export type ChannelEncoding = 'binary' | 'base64';

export type ChannelEvent =
  | { readonly type: 'data'; readonly channel: number; readonly chunk: Buffer }
  | { readonly type: 'message-end'; readonly channel: number }
  | { readonly type: 'half-close'; readonly channel: number };

const halfCloseMark = 255;
const digitZero = 0x30;
/** Clients read messages of any size, but the peers' servers never send larger ones. */
const maxPayloadBytes = 32 * 1024;

/** Decodes the messages of one client. */
export class ChannelDecoder {
  readonly #encoding: ChannelEncoding;
  readonly #halfClose: boolean;
  readonly #emit: (event: ChannelEvent) => void;
  #channel: number | undefined;
  #carry = '';
  #closing = -1;

  /** `halfClose`: whether the protocol has the half-close message (version 5 only). */
  constructor(encoding: ChannelEncoding, halfClose: boolean, emit: (event: ChannelEvent) => void) {
    this.#encoding = encoding;
    this.#halfClose = halfClose;
    this.#emit = emit;
  }

  /** Takes one piece of a data message. Throws ProtocolError for bad base64 or a malformed half-close. */
  push(event: Extract<WebSocketEvent, { type: 'data' }>): void {
    let chunk = event.chunk;
    if (event.first) {
      this.#channel = undefined;
      this.#carry = '';
      this.#closing = -1;
    }
    if (this.#channel === undefined) {
      if (chunk.length === 0) return;
      this.#channel = this.#encoding === 'binary' ? chunk[0]! : (chunk[0]! - digitZero) & 0xff;
      chunk = chunk.subarray(1);
    }
    if (this.#halfClose && this.#channel === halfCloseMark) this.#readHalfClose(chunk, event.last);
    else {
      const payload = this.#encoding === 'binary' ? chunk : this.#decodeBase64(chunk, event.last);
      if (payload.length > 0) this.#emit({ type: 'data', channel: this.#channel, chunk: payload });
      if (event.last) this.#emit({ type: 'message-end', channel: this.#channel });
    }
  }

  #readHalfClose(chunk: Buffer, last: boolean): void {
    for (const byte of chunk) {
      if (this.#closing !== -1) throw new ProtocolError('half-close message of more than two bytes');
      this.#closing = byte;
    }
    if (!last) return;
    if (this.#closing === -1) throw new ProtocolError('half-close message without a channel');
    this.#emit({ type: 'half-close', channel: this.#closing });
  }

  #decodeBase64(chunk: Buffer, last: boolean): Buffer {
    const text = this.#carry + chunk.toString('latin1');
    const whole = last ? text.length : text.length - (text.length % 4);
    this.#carry = text.slice(whole);
    const ready = text.slice(0, whole);
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(ready)) throw new ProtocolError('bad base64 in a channel message');
    return Buffer.from(ready, 'base64');
  }
}

/**
 * Writes `payload` to `channel` as one or more messages of at most 32 KiB; an empty payload makes one empty message.
 * Returns what the last `write` returned.
 */
export function sendChannelMessages(
  write: (...parts: Buffer[]) => boolean,
  encoding: ChannelEncoding,
  channel: number,
  payload: Buffer,
): boolean {
  let at = 0;
  let accepted = true;
  do {
    const piece = payload.subarray(at, at + maxPayloadBytes);
    at += maxPayloadBytes;
    if (encoding === 'binary') {
      const head = frameHead(opcode.binary, piece.length + 1, 1);
      head[head.length - 1] = channel;
      accepted = piece.length > 0 ? write(head, piece) : write(head);
    } else {
      const text = Buffer.from(piece.toString('base64'), 'latin1');
      const head = frameHead(opcode.text, text.length + 1, 1);
      head[head.length - 1] = digitZero + channel;
      accepted = text.length > 0 ? write(head, text) : write(head);
    }
  } while (at < payload.length);
  return accepted;
}
