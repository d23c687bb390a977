/**
 * The client's end of a Kubernetes streaming URL (exec, attach, port-forward): a WebSocket whose messages begin with the
 * number of a channel. Node's own WebSocket has no backpressure, and a `cat` of a large file must not fill the memory.
 * Source: RFC 6455; subprotocols v4 and v5 of `channel.k8s.io`.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { CommandError } from './command.ts';

const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const halfCloseMark = 255;
/** More than this in one frame is nothing that a server of ours sends. */
const largestFrameBytes = 64 << 20;

export interface ChannelEvents {
  onData(channel: number, payload: Buffer): void;
  /** Once, when nothing more comes. */
  onClose(): void;
}

export class ChannelSocket {
  readonly #socket: Socket;
  readonly #events: ChannelEvents;
  #pending: Buffer = Buffer.alloc(0);
  #isClosed = false;

  constructor(socket: Socket, head: Buffer, events: ChannelEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('close', () => this.#closed());
    socket.on('error', () => this.#closed());
    if (head.length > 0) setImmediate(() => this.#take(head));
  }

  /** Sends one message. False: wait for `drained` before the next one. */
  send(channel: number, payload: Uint8Array): boolean {
    if (this.#isClosed) return true;
    return this.#frame(opcode.binary, Buffer.concat([Buffer.of(channel), payload]));
  }

  /** Tells that nothing more comes on a channel (version 5). */
  endChannel(channel: number): void {
    this.send(halfCloseMark, Buffer.of(channel));
  }

  /** Resolves when what was sent has left, or the connection is over. */
  drained(): Promise<void> {
    if (this.#isClosed || !this.#socket.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        this.#socket.off('drain', done);
        this.#socket.off('close', done);
        resolve();
      };
      this.#socket.on('drain', done);
      this.#socket.on('close', done);
    });
  }

  /** Stops and goes on reading, where the reader cannot keep up. */
  hold(isHeld: boolean): void {
    if (isHeld) this.#socket.pause();
    else this.#socket.resume();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#frame(opcode.close, Buffer.of(0x03, 0xe8));
    this.#socket.end();
    this.#closed();
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.destroySoon();
    this.#events.onClose();
  }

  /** A client masks what it sends (RFC 6455, section 5.3). */
  #frame(code: number, payload: Buffer): boolean {
    const mask = randomBytes(4);
    const size = payload.length < 126 ? 0 : payload.length < 65536 ? 2 : 8;
    const head = Buffer.alloc(6 + size);
    head[0] = 0x80 | code;
    head[1] = 0x80 | (size === 0 ? payload.length : size === 2 ? 126 : 127);
    if (size === 2) head.writeUInt16BE(payload.length, 2);
    else if (size === 8) head.writeBigUInt64BE(BigInt(payload.length), 2);
    mask.copy(head, 2 + size);
    const masked = Buffer.allocUnsafe(payload.length);
    for (let at = 0; at < payload.length; at += 1) masked[at] = payload[at]! ^ mask[at & 3]!;
    return this.#socket.write(Buffer.concat([head, masked]));
  }

  #take(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    for (;;) {
      const bytes = this.#pending;
      if (bytes.length < 2) return;
      const short = bytes[1]! & 0x7f;
      const headBytes = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (bytes.length < headBytes) return;
      const length =
        short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
      if (length > largestFrameBytes) {
        this.#closed();
        return;
      }
      if (bytes.length < headBytes + length) return;
      this.#pending = bytes.subarray(headBytes + length);
      this.#handle(bytes[0]! & 0x0f, bytes.subarray(headBytes, headBytes + length));
      if (this.#isClosed) return;
    }
  }

  #handle(code: number, payload: Buffer): void {
    if (code === opcode.close) this.close();
    else if (code === opcode.ping) this.#frame(opcode.pong, payload);
    else if ((code === opcode.binary || code === opcode.text) && payload.length > 0)
      this.#events.onData(payload[0]!, payload.subarray(1));
  }
}

/** Connects to a streaming URL with a subprotocol. Throws CommandError with what the server said. */
export async function openChannels(
  url: string,
  subprotocol: string,
  events: ChannelEvents,
): Promise<ChannelSocket> {
  const { request } = url.startsWith('https:') ? await import('node:https') : await import('node:http');
  return new Promise((resolve, reject) => {
    const fail = (words: string, cause?: unknown): void =>
      reject(new CommandError(`the streaming server at ${new URL(url).host} ${words}`, { cause }));
    const outgoing = request(url, {
      // The URL came over the daemon's own socket and works once: its certificate need not be known here.
      rejectUnauthorized: false,
      agent: false,
      headers: {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
        'Sec-WebSocket-Protocol': subprotocol,
      },
    } as Parameters<typeof request>[1] & object);
    outgoing.once('upgrade', (_response: IncomingMessage, socket: Socket, head: Buffer) =>
      resolve(new ChannelSocket(socket, head, events)),
    );
    outgoing.once('response', (response: IncomingMessage) => {
      response.resume();
      fail(`refused: HTTP status ${response.statusCode}`);
    });
    outgoing.once('error', (error) => fail(`cannot be reached: ${error.message}`, error));
    outgoing.end();
  });
}
