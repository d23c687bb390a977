import { connect, type Socket } from 'node:net';
import { decode, decodeEnvelope, encode, encodeEnvelope } from '#proto/nri/codec.ts';
import type { MessageInits, MessageName } from '#proto/nri/generated/nri.ts';
import {
  type Message,
  MessageReader,
  messageTypes,
  pluginCalls,
  runtimeCalls,
  writeMessage,
} from '../wire.ts';

type Answer = { readonly type: MessageName; readonly message: object } | undefined;
/** By method. */
export type Answers = Readonly<Record<string, (payload: Buffer) => Answer>>;

/** A plugin without a stub between: it answers what it is told to, be it nonsense. No answer is silence. */
export class RawPlugin {
  readonly socket: Socket;
  /** Methods that were called. */
  readonly called: string[] = [];
  readonly closed: Promise<unknown>;
  readonly #answers: Answers;
  readonly #replies = new Map<number, (body: Buffer) => void>();
  #nextStreamId = 1;

  constructor(path: string, answers: Answers = {}) {
    this.#answers = {
      Configure: () => answer('ConfigureResponse', {}),
      Synchronize: () => answer('SynchronizeResponse', {}),
      CreateContainer: () => answer('CreateContainerResponse', {}),
      ValidateContainerAdjustment: () => answer('ValidateContainerAdjustmentResponse', {}),
      ...answers,
    };
    this.socket = connect(path);
    this.socket.on('error', () => {});
    this.closed = new Promise((resolve) => this.socket.once('close', resolve));
    const reader = new MessageReader();
    this.socket.on('data', (chunk) => {
      for (const message of reader.push(chunk)) this.#take(message);
    });
  }

  #take({ connection, streamId, body }: Message): void {
    if (connection === pluginCalls) {
      this.#replies.get(streamId)?.(body);
      return;
    }
    const { method, payload } = decodeEnvelope('Request', body);
    this.called.push(method);
    const given = (this.#answers[method] ?? (() => answer('Empty', {})))(payload);
    if (given === undefined) return;
    const reply = encode(given.type, given.message as never);
    this.send({
      connection: runtimeCalls,
      streamId,
      type: messageTypes.response,
      body: encodeEnvelope('Response', { payload: reply }),
    });
  }

  send(message: Message): void {
    for (const piece of writeMessage(message)) this.socket.write(piece);
  }

  /** Calls the runtime; the reply with its status. */
  async call<K extends MessageName>(method: string, type: K, message: MessageInits[K]) {
    const streamId = this.#nextStreamId;
    this.#nextStreamId += 2;
    const body = encodeEnvelope('Request', {
      service: 'nri.pkg.api.v1alpha1.Runtime',
      method,
      payload: encode(type, message),
    });
    const reply = new Promise<Buffer>((resolve) => this.#replies.set(streamId, resolve));
    this.send({ connection: pluginCalls, streamId, type: messageTypes.request, body });
    return decodeEnvelope('Response', await reply);
  }

  async register(name: string, index = '10'): Promise<void> {
    await this.call('RegisterPlugin', 'RegisterPluginRequest', { plugin_name: name, plugin_idx: index });
  }
}

/** An answer of that type. */
export function answer<K extends MessageName>(type: K, message: MessageInits[K]): Answer {
  return { type, message };
}

/** Whether a Synchronize request has more behind it. */
export function hasMore(payload: Buffer): boolean {
  return decode('SynchronizeRequest', payload).more;
}
