import type { Socket } from 'node:net';
import { constants, createDeflate, type Deflate } from 'node:zlib';
import {
  dataFrameHead,
  goawayFrame,
  pingFrame,
  rstStreamFrame,
  SpdyDecoder,
  type SpdyEvent,
} from '../spdy-frames.ts';
import { spdyDictionary } from '../spdy-headers.ts';
import { opcode, WebSocketDecoder } from '../websocket-frames.ts';
import { upgrade } from './upgrade.ts';
import { maskedFrame } from './websocket-client.ts';

/** A client stream, collecting what the server sends on it. */
export class ClientStream {
  readonly id: number;
  readonly #client: SpdyClient;
  readonly replied = Promise.withResolvers<void>();
  readonly ended = Promise.withResolvers<'fin' | 'reset' | 'closed'>();
  readonly chunks: Buffer[] = [];
  receivedBytes = 0;
  keep = true;

  constructor(client: SpdyClient, id: number) {
    this.#client = client;
    this.id = id;
    for (const { promise } of [this.replied, this.ended]) promise.catch(() => undefined);
  }

  receive(chunk: Buffer): void {
    this.receivedBytes += chunk.length;
    if (this.keep) this.chunks.push(chunk);
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  /** Everything received once the server has ended the stream. */
  async all(): Promise<string> {
    await this.ended.promise;
    return this.text;
  }

  write(data: Buffer | string): boolean {
    const bytes = Buffer.from(data);
    return this.#client.send(dataFrameHead(this.id, bytes.length, false), bytes);
  }

  end(): void {
    this.#client.send(dataFrameHead(this.id, 0, true));
  }

  reset(): void {
    this.#client.send(rstStreamFrame(this.id, 5));
  }
}

/**
 * A SPDY client for tests. It compresses headers with zlib itself, as the Go clients do, so that the server's own
 * inflater meets real compressed blocks. `tunnel` carries the bytes in WebSocket messages.
 */
export class SpdyClient {
  readonly socket: Socket;
  readonly #tunnel: boolean;
  readonly #deflate: Deflate = createDeflate({ dictionary: spdyDictionary, level: 9 });
  readonly #streams = new Map<number, ClientStream>();
  readonly #decoder = new SpdyDecoder((event) => this.#handle(event));
  readonly #frames = new WebSocketDecoder(false, (event) => {
    if (event.type === 'data') this.#decoder.push(event.chunk);
  });
  readonly closed: Promise<void>;
  readonly pongs: number[] = [];
  goaway = false;
  #sending: Promise<void> = Promise.resolve();
  #nextId = 1;

  constructor(socket: Socket, rest: Buffer, tunnel = false) {
    this.socket = socket;
    this.#tunnel = tunnel;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#deflate.close();
        for (const stream of this.#streams.values()) {
          stream.replied.reject(new Error('closed'));
          stream.ended.resolve('closed');
        }
        resolve();
      });
    });
    const receive = (chunk: Buffer): void => (tunnel ? this.#frames : this.#decoder).push(chunk);
    if (rest.length > 0) receive(rest);
    socket.on('data', receive);
    socket.on('end', () => socket.end());
    socket.resume();
  }

  static async connect(url: string, versions: readonly string[], method = 'POST'): Promise<SpdyClient> {
    const { socket, answer, rest } = await upgrade(url, method, [
      'Connection: Upgrade',
      'Upgrade: SPDY/3.1',
      ...versions.map((version) => `X-Stream-Protocol-Version: ${version}`),
    ]);
    if (answer.status !== 101) throw new Error(`${answer.status}: ${answer.body}`);
    return new SpdyClient(socket, rest);
  }

  send(...parts: Buffer[]): boolean {
    if (this.#tunnel) return this.socket.write(maskedFrame(opcode.binary, Buffer.concat(parts)));
    this.socket.cork();
    for (const part of parts) this.socket.write(part);
    this.socket.uncork();
    return this.socket.writableLength < 1024 * 1024;
  }

  /** Opens a stream and waits until the server has accepted it; rejects if it is reset. */
  async stream(headers: Record<string, string>): Promise<ClientStream> {
    const stream = await this.startStream(headers);
    await stream.replied.promise;
    return stream;
  }

  async startStream(headers: Record<string, string>): Promise<ClientStream> {
    const id = this.#nextId;
    this.#nextId += 2;
    const stream = new ClientStream(this, id);
    this.#streams.set(id, stream);
    await this.#sendSynStream(id, headers);
    return stream;
  }

  /** Sends a SYN_STREAM, one at a time: its header block belongs to a context that all streams share. */
  #sendSynStream(id: number, headers: Record<string, string>): Promise<void> {
    this.#sending = this.#sending.then(async () => {
      this.send(synStream(id, await this.compress(headers)));
    });
    return this.#sending;
  }

  /** One header block in this connection's compression context. */
  async compress(headers: Record<string, string>): Promise<Buffer> {
    const out: Buffer[] = [];
    const collect = (chunk: Buffer): number => out.push(chunk);
    this.#deflate.on('data', collect);
    this.#deflate.write(headerBlock(headers));
    await new Promise<void>((resolve) => {
      this.#deflate.flush(constants.Z_SYNC_FLUSH, () => resolve());
    });
    this.#deflate.off('data', collect);
    return Buffer.concat(out);
  }

  ping(id: number): void {
    this.send(pingFrame(id));
  }

  sendGoaway(): void {
    this.send(goawayFrame(0, 0));
  }

  #handle(event: SpdyEvent): void {
    if (event.type === 'ping') this.pongs.push(event.id);
    if (event.type === 'goaway') this.goaway = true;
    if (!('streamId' in event)) return;
    const stream = this.#streams.get(event.streamId);
    if (stream === undefined) return;
    if (event.type === 'syn-reply') stream.replied.resolve();
    else if (event.type === 'rst-stream') {
      stream.replied.reject(new Error(`stream reset with status ${event.status}`));
      stream.ended.resolve('reset');
    } else if (event.type === 'data') {
      stream.receive(event.chunk);
      if (event.fin) stream.ended.resolve('fin');
    }
  }
}

export function headerBlock(headers: Record<string, string>): Buffer {
  const parts: Buffer[] = [];
  const u32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const entries = Object.entries(headers);
  parts.push(u32(entries.length));
  for (const text of entries.flat()) parts.push(u32(Buffer.byteLength(text)), Buffer.from(text));
  return Buffer.concat(parts);
}

export function synStream(id: number, block: Buffer): Buffer {
  const frame = Buffer.alloc(18 + block.length);
  frame.writeUInt32BE(0x80030001, 0);
  frame.writeUInt32BE(10 + block.length, 4);
  frame.writeUInt32BE(id, 8);
  block.copy(frame, 18);
  return frame;
}
