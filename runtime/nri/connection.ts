/** A plugin's socket: calls in both directions over ttrpc, many in flight. */
import type { Socket } from 'node:net';
import { messageOf, RuntimeError } from '#base/errors.ts';
import { decodeEnvelope, encodeEnvelope } from '#proto/nri/codec.ts';
import {
  type Message,
  MessageReader,
  messageTypes,
  pluginCalls,
  runtimeCalls,
  writeMessage,
} from './wire.ts';

const pluginService = 'nri.pkg.api.v1alpha1.Plugin';
const runtimeService = 'nri.pkg.api.v1alpha1.Runtime';

/** Status codes are those of gRPC. */
export const unimplementedCode = 12;
const unknownCode = 2;

/** A plugin that has more calls open at one time is not listened to any further. */
const mostOpenCalls = 64;
/** A plugin that lets so much stand unread is not written to any further. */
const mostUnsentBytes = 32 << 20;

/** The plugin answered, and the answer is an error. */
export class Refusal extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = 'Refusal';
    this.code = code;
  }
}

/** The plugin did not answer. */
export class NoAnswer extends Error {
  readonly reason: 'timeout' | 'closed';

  constructor(reason: 'timeout' | 'closed', message: string) {
    super(message);
    this.name = 'NoAnswer';
    this.reason = reason;
  }
}

export interface ConnectionEvents {
  /** A call of the plugin; what it resolves with is the answer, a rejection an error reply. */
  onCall(method: string, payload: Buffer): Promise<Buffer>;
  /** Once, with why. */
  onClose(reason: string): void;
}

interface OpenCall {
  readonly resolve: (payload: Buffer) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export class PluginConnection {
  readonly #socket: Socket;
  readonly #events: ConnectionEvents;
  readonly #reader = new MessageReader();
  readonly #open = new Map<number, OpenCall>();
  #nextStreamId = 1;
  #callsOfPlugin = 0;
  #closeReason: string | undefined;

  constructor(socket: Socket, events: ConnectionEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error) => this.close(messageOf(error)));
    socket.on('close', () => this.close('the plugin closed the connection'));
    // It may have been held up until somebody was there to listen.
    socket.resume();
  }

  get isClosed(): boolean {
    return this.#closeReason !== undefined;
  }

  /**
   * Calls a method of the plugin. Rejects with Refusal for an error reply, with NoAnswer when `timeoutMs` passed or the
   * connection ended, and throws ResourceExhausted if the payload is too large to be sent.
   */
  async call(method: string, payload: Buffer, timeoutMs: number): Promise<Buffer> {
    if (this.#closeReason !== undefined) throw new NoAnswer('closed', this.#closeReason);
    const streamId = this.#nextStreamId;
    const body = encodeEnvelope('Request', {
      service: pluginService,
      method,
      payload,
      timeout_nano: BigInt(timeoutMs) * 1_000_000n,
    });
    const pieces = writeMessage({ connection: runtimeCalls, streamId, type: messageTypes.request, body });
    this.#nextStreamId += 2;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#open.delete(streamId);
        reject(new NoAnswer('timeout', `no answer to ${method} within ${timeoutMs} ms`));
      }, timeoutMs);
      this.#open.set(streamId, { resolve, reject, timer });
      this.#write(pieces);
    });
  }

  /** Ends the connection; calls in flight get NoAnswer. Idempotent. */
  close(reason: string): void {
    if (this.#closeReason !== undefined) return;
    this.#closeReason = reason;
    this.#socket.destroy();
    for (const call of this.#open.values()) {
      clearTimeout(call.timer);
      call.reject(new NoAnswer('closed', reason));
    }
    this.#open.clear();
    this.#events.onClose(reason);
  }

  #write(pieces: readonly Buffer[]): void {
    this.#socket.cork();
    for (const piece of pieces) this.#socket.write(piece);
    this.#socket.uncork();
    if (this.#socket.writableLength > mostUnsentBytes) this.close('the plugin does not read what it is sent');
  }

  #receive(chunk: Buffer): void {
    if (this.#closeReason !== undefined) return;
    try {
      for (const message of this.#reader.push(chunk)) this.#take(message);
    } catch (error) {
      this.close(`the plugin broke the protocol: ${messageOf(error)}`);
    }
  }

  #take(message: Message): void {
    if (message.connection === runtimeCalls && message.type === messageTypes.response) this.#settle(message);
    else if (message.connection === pluginCalls && message.type === messageTypes.request)
      this.#serve(message);
    // Anything else belongs to streaming calls, of which NRI has none.
  }

  #settle({ streamId, body }: Message): void {
    const call = this.#open.get(streamId);
    if (call === undefined) return; // it came after its time
    this.#open.delete(streamId);
    clearTimeout(call.timer);
    const { status, payload } = decodeEnvelope('Response', body);
    if (status !== undefined && status.code !== 0) call.reject(new Refusal(status.code, status.message));
    else call.resolve(payload);
  }

  #serve({ streamId, body }: Message): void {
    const { service, method, payload } = decodeEnvelope('Request', body);
    if (this.#callsOfPlugin >= mostOpenCalls)
      throw new RuntimeError('ResourceExhausted', `more than ${mostOpenCalls} calls at one time`);
    this.#callsOfPlugin += 1;
    const answer =
      service === runtimeService
        ? this.#events.onCall(method, payload)
        : Promise.reject(new Refusal(unimplementedCode, `there is no service ${service}`));
    answer
      .then(
        (result) => encodeEnvelope('Response', { status: {}, payload: result }),
        (error) =>
          encodeEnvelope('Response', {
            status: {
              code: error instanceof Refusal ? error.code : unknownCode,
              message: messageOf(error),
            },
          }),
      )
      .then((reply) => {
        this.#callsOfPlugin -= 1;
        if (this.#closeReason === undefined)
          this.#write(
            writeMessage({
              connection: pluginCalls,
              streamId,
              type: messageTypes.response,
              body: reply,
            }),
          );
      })
      .catch((error) => this.close(`answering ${method}: ${messageOf(error)}`));
  }
}
