/**
 * The two layers of NRI's wire, bytes in and messages out.
 *
 * Mux: frames of a connection number and a payload share one socket (nri pkg/net/multiplex). Number 1 carries calls of the
 * runtime, 2 those of the plugin. Frames of other numbers are dropped.
 * ttrpc: messages with a header of ten bytes in the stream of one connection (ttrpc PROTOCOL.md).
 */
import { RuntimeError } from '#base/errors.ts';
import { ByteQueue } from './byte-queue.ts';

export const runtimeCalls = 1;
export const pluginCalls = 2;

const frameHeaderBytes = 8;
const messageHeaderBytes = 10;
export const maxBodyBytes = 4 << 20;
const maxPayloadBytes = messageHeaderBytes + maxBodyBytes;

/**
 * Go's ttrpc looks for a header through a buffer of 4096 bytes, and NRI's mux gives it one frame at a time: a frame that
 * begins a message must fit that buffer, or the connection fails with ENOMEM.
 */
const firstFrameBytes = 4096;

export const messageTypes = { request: 1, response: 2, data: 3 } as const;

export interface Message {
  /** Which connection of the mux it came on. */
  readonly connection: number;
  readonly streamId: number;
  readonly type: number;
  readonly body: Buffer;
}

/** Collects the messages of a socket. */
export class MessageReader {
  readonly #socket = new ByteQueue();
  readonly #streams = new Map([
    [runtimeCalls, new ByteQueue()],
    [pluginCalls, new ByteQueue()],
  ]);
  /** Headers that were read, by connection, of messages whose bodies are not there yet. */
  readonly #headers = new Map<number, { lengthBytes: number; streamId: number; type: number }>();
  #frame: { connection: number; lengthBytes: number } | undefined;

  /** The messages that are complete with `chunk`. Throws InvalidArgument for what cannot be followed any further. */
  push(chunk: Buffer): Message[] {
    this.#socket.push(chunk);
    const messages: Message[] = [];
    for (;;) {
      if (this.#frame === undefined) {
        if (this.#socket.length < frameHeaderBytes) return messages;
        const header = this.#socket.take(frameHeaderBytes);
        this.#frame = { connection: header.readUInt32BE(0), lengthBytes: header.readUInt32BE(4) };
        if (this.#frame.lengthBytes > maxPayloadBytes)
          throw new RuntimeError(
            'InvalidArgument',
            `a frame of ${this.#frame.lengthBytes} bytes is too long`,
          );
      }
      const { connection, lengthBytes } = this.#frame;
      if (this.#socket.length < lengthBytes) return messages;
      this.#frame = undefined;
      const stream = this.#streams.get(connection);
      const payload = this.#socket.take(lengthBytes);
      if (stream === undefined) continue;
      stream.push(payload);
      this.#readMessages(connection, stream, messages);
    }
  }

  #readMessages(connection: number, stream: ByteQueue, into: Message[]): void {
    for (;;) {
      const header = this.#headers.get(connection) ?? this.#readHeader(connection, stream);
      if (header === undefined || stream.length < header.lengthBytes) return;
      this.#headers.delete(connection);
      const { streamId, type, lengthBytes } = header;
      into.push({ connection, streamId, type, body: stream.take(lengthBytes) });
    }
  }

  #readHeader(connection: number, stream: ByteQueue) {
    if (stream.length < messageHeaderBytes) return undefined;
    const bytes = stream.take(messageHeaderBytes);
    const header = {
      lengthBytes: bytes.readUInt32BE(0),
      streamId: bytes.readUInt32BE(4),
      type: bytes.readUInt8(8),
    };
    if (header.lengthBytes > maxBodyBytes)
      throw new RuntimeError('InvalidArgument', `a message of ${header.lengthBytes} bytes is too long`);
    this.#headers.set(connection, header);
    return header;
  }
}

function frameHeader(connection: number, lengthBytes: number): Buffer {
  const header = Buffer.allocUnsafe(frameHeaderBytes);
  header.writeUInt32BE(connection, 0);
  header.writeUInt32BE(lengthBytes, 4);
  return header;
}

/** A message as bytes for the socket, in pieces. Throws ResourceExhausted for a body of more than 4 MiB. */
export function writeMessage({ connection, streamId, type, body }: Message): Buffer[] {
  if (body.length > maxBodyBytes)
    throw new RuntimeError(
      'ResourceExhausted',
      `a message of ${body.length} bytes is more than the ${maxBodyBytes} that ttrpc carries`,
    );
  const header = Buffer.alloc(messageHeaderBytes);
  header.writeUInt32BE(body.length, 0);
  header.writeUInt32BE(streamId, 4);
  header.writeUInt8(type, 8);
  const first = body.subarray(0, firstFrameBytes - messageHeaderBytes);
  const rest = body.subarray(first.length);
  const pieces = [frameHeader(connection, messageHeaderBytes + first.length), header, first];
  return rest.length === 0 ? pieces : [...pieces, frameHeader(connection, rest.length), rest];
}
