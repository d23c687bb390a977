import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { closeFrame, frameHead, type Opcode, opcode, unmask, WebSocketDecoder } from '../websocket-frames.ts';
import { upgrade } from './upgrade.ts';

/** A whole frame as a client must send it. */
export function maskedFrame(code: Opcode, payload: Buffer): Buffer {
  const head = frameHead(code, payload.length, 4);
  head[1] = head[1]! | 0x80;
  const mask = randomBytes(4);
  mask.copy(head, head.length - 4);
  const body = Buffer.from(payload);
  unmask(body, mask, 0, 0);
  return Buffer.concat([head, body]);
}

/** A WebSocket client for tests, collecting messages whole. */
export class WebSocketClient {
  readonly socket: Socket;
  readonly protocol: string | undefined;
  readonly messages: Buffer[] = [];
  readonly pongs: string[] = [];
  readonly closed: Promise<void>;
  closeCode: number | undefined;
  #partial: Buffer[] = [];
  #waiting: (() => void)[] = [];

  constructor(socket: Socket, rest: Buffer, protocol: string | undefined) {
    this.socket = socket;
    this.protocol = protocol;
    const decoder = new WebSocketDecoder(false, (event) => {
      if (event.type === 'pong') this.pongs.push(event.payload.toString());
      if (event.type === 'close') {
        this.closeCode = event.code;
        this.send(opcode.close, closeFrame(event.code).subarray(2));
      }
      if (event.type === 'data') {
        this.#partial.push(event.chunk);
        if (event.last) this.messages.push(Buffer.concat(this.#partial.splice(0)));
      }
      for (const wake of this.#waiting.splice(0)) wake();
    });
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        for (const wake of this.#waiting.splice(0)) wake();
        resolve();
      });
    });
    if (rest.length > 0) decoder.push(rest);
    socket.on('data', (chunk: Buffer) => decoder.push(chunk));
    socket.on('end', () => socket.end());
    socket.resume();
  }

  static async connect(url: string, protocols: readonly string[]): Promise<WebSocketClient> {
    const { socket, answer, rest } = await upgrade(url, 'GET', [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      ...(protocols.length > 0 ? [`Sec-WebSocket-Protocol: ${protocols.join(', ')}`] : []),
    ]);
    if (answer.status !== 101) throw new Error(`${answer.status}: ${answer.body}`);
    const chosen = /^sec-websocket-protocol: (.*)$/im.exec(answer.headers)?.[1]?.trim();
    return new WebSocketClient(socket, rest, chosen);
  }

  send(code: Opcode, payload: Buffer): boolean {
    return this.socket.write(maskedFrame(code, payload));
  }

  sendChannel(channel: number, payload: Buffer | string): boolean {
    return this.send(opcode.binary, Buffer.concat([Buffer.from([channel]), Buffer.from(payload)]));
  }

  /** All payload so far of one channel of a binary protocol. */
  channel(channel: number): Buffer {
    return Buffer.concat(
      this.messages.filter((message) => message[0] === channel).map((message) => message.subarray(1)),
    );
  }

  /** Waits until `condition` holds, looking again at every frame; rejects when the connection closes first. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.socket.destroyed) throw new Error('the connection closed first');
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}
