/**
 * The daemon at the other end of the unix socket: calls of the CRI and of the admin service. What fails is thrown as a
 * CallError, whose message is a sentence for the user and whose `code` is the name of the gRPC status.
 */
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { decode as decodeAdmin, encode as encodeAdmin } from '#proto/berth/codec.ts';
import {
  Admin,
  type MessageInits as AdminInits,
  type MessageName as AdminMessageName,
  type Messages as AdminMessages,
} from '#proto/berth/generated/admin.ts';
import { decode, encode } from '#proto/codec.ts';
import {
  ImageService,
  type MessageInits,
  type MessageName,
  type Messages,
  RuntimeService,
} from '#proto/generated/cri.ts';
import { CommandError } from './command.ts';

const criMethods = { ...RuntimeService, ...ImageService } as const;
type Cri = typeof criMethods;
type AdminTable = typeof Admin;

/** The names of a table's methods with these directions. */
type NameOf<Table, Requests extends boolean, Replies extends boolean> = {
  [K in keyof Table]: Table[K] extends { requestStream: Requests; responseStream: Replies } ? K : never;
}[keyof Table];

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** None unless given: a pull may take as long as it takes. */
  readonly timeoutMs?: number;
}

/** A call that the daemon refused, or that did not reach it. */
export class CallError extends CommandError {
  /** NOT_FOUND, FAILED_PRECONDITION, ... */
  readonly code: string;

  constructor(message: string, code: string, options: ConstructorParameters<typeof CommandError>[1] = {}) {
    super(message, options);
    this.name = 'CallError';
    this.code = code;
  }
}

const identity = (bytes: Buffer): Buffer => bytes;

export class Connection {
  readonly #client: Client;
  readonly address: string;

  /** `address` is a path, or `unix://` and a path. Connects at the first call. */
  constructor(address: string) {
    this.address = address.replace(/^unix:(\/\/)?/, '');
    this.#client = new Client(`unix://${this.address}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.enable_channelz': 0,
      'grpc.initial_reconnect_backoff_ms': 100,
    });
  }

  /** A call of the CRI. Throws CallError. */
  async call<K extends NameOf<Cri, false, false>>(
    name: K,
    request: MessageInits[Cri[K]['requestType']],
    options: CallOptions = {},
  ): Promise<Messages[Cri[K]['responseType']]> {
    const { path, requestType, responseType } = criMethods[name];
    const bytes = await this.#unary(path, encode(requestType, request), options);
    return decode(responseType as MessageName, bytes) as Messages[Cri[K]['responseType']];
  }

  /** The messages of a streaming call of the CRI. Leaving the loop cancels the call. Throws CallError. */
  async *stream<K extends NameOf<Cri, false, true>>(
    name: K,
    request: MessageInits[Cri[K]['requestType']],
    options: CallOptions = {},
  ): AsyncGenerator<Messages[Cri[K]['responseType']]> {
    const { path, requestType, responseType } = criMethods[name];
    for await (const bytes of this.#receive(path, encode(requestType, request), options))
      yield decode(responseType as MessageName, bytes) as Messages[Cri[K]['responseType']];
  }

  /** A call of the admin service. Throws CallError. */
  async admin<K extends NameOf<AdminTable, false, false>>(
    name: K,
    request: AdminInits[AdminTable[K]['requestType']],
    options: CallOptions = {},
  ): Promise<AdminMessages[AdminTable[K]['responseType']]> {
    const { path, requestType, responseType } = Admin[name];
    const bytes = await this.#unary(path, encodeAdmin(requestType, request as never), options);
    return decodeAdmin(
      responseType as AdminMessageName,
      bytes,
    ) as AdminMessages[AdminTable[K]['responseType']];
  }

  /** The messages of a streaming call of the admin service. Leaving the loop cancels the call. Throws CallError. */
  async *adminStream<K extends NameOf<AdminTable, false, true>>(
    name: K,
    request: AdminInits[AdminTable[K]['requestType']],
    options: CallOptions = {},
  ): AsyncGenerator<AdminMessages[AdminTable[K]['responseType']]> {
    const { path, requestType, responseType } = Admin[name];
    for await (const bytes of this.#receive(path, encodeAdmin(requestType, request as never), options))
      yield decodeAdmin(
        responseType as AdminMessageName,
        bytes,
      ) as AdminMessages[AdminTable[K]['responseType']];
  }

  /** Sends a stream of messages, as fast as the daemon takes them, and gives its answer. Throws CallError. */
  async adminUpload<K extends NameOf<AdminTable, true, false>>(
    name: K,
    requests: AsyncIterable<AdminInits[AdminTable[K]['requestType']]>,
    options: CallOptions = {},
  ): Promise<AdminMessages[AdminTable[K]['responseType']]> {
    const { path, requestType, responseType } = Admin[name];
    const encoded = async function* (): AsyncGenerator<Buffer> {
      for await (const request of requests) yield encodeAdmin(requestType, request as never);
    };
    const bytes = await this.#send(path, encoded(), options);
    return decodeAdmin(
      responseType as AdminMessageName,
      bytes,
    ) as AdminMessages[AdminTable[K]['responseType']];
  }

  close(): void {
    this.#client.close();
  }

  async #unary(path: string, body: Buffer, options: CallOptions): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const call = this.#client.makeUnaryRequest(
      path,
      identity,
      identity,
      body,
      new Metadata(),
      deadline(options),
      (error, reply) => {
        if (error) reject(this.#said(error));
        else resolve(reply ?? Buffer.alloc(0));
      },
    );
    return withCancel(options.signal, () => call.cancel(), promise);
  }

  async *#receive(path: string, body: Buffer, options: CallOptions): AsyncGenerator<Buffer> {
    const call = this.#client.makeServerStreamRequest(
      path,
      identity,
      identity,
      body,
      new Metadata(),
      deadline(options),
    );
    const cancel = () => call.cancel();
    options.signal?.addEventListener('abort', cancel, { once: true });
    if (options.signal?.aborted === true) cancel();
    try {
      for await (const bytes of call) yield bytes as Buffer;
    } catch (error) {
      if (isServiceError(error)) throw this.#said(error);
      throw error;
    } finally {
      options.signal?.removeEventListener('abort', cancel);
      call.on('error', () => {}); // of its own cancellation, when the loop was left early
      call.cancel();
    }
  }

  async #send(path: string, requests: AsyncIterable<Buffer>, options: CallOptions): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    let hasEnded = false;
    const call = this.#client.makeClientStreamRequest(
      path,
      identity,
      identity,
      new Metadata(),
      deadline(options),
      (error, reply) => {
        hasEnded = true;
        if (error) reject(this.#said(error));
        else resolve(reply ?? Buffer.alloc(0));
      },
    );
    call.on('error', () => {}); // the callback tells it
    const feed = async (): Promise<void> => {
      for await (const bytes of requests) {
        if (hasEnded) return;
        // Whoever ends first, the server by an answer or the write by its end, lets go on.
        await Promise.race([
          new Promise<void>((written) => call.write(bytes, () => written())),
          promise.catch(() => {}),
        ]);
      }
      if (!hasEnded) call.end();
    };
    feed().catch((error: unknown) => {
      reject(error);
      call.cancel();
    });
    return withCancel(options.signal, () => call.cancel(), promise);
  }

  #said(error: ServiceError): CallError {
    const code = status[error.code] ?? String(error.code);
    const options = { cause: error };
    if (
      error.code === status.UNAVAILABLE &&
      /connect|ENOENT|ECONNREFUSED|EACCES|No connection/i.test(error.details)
    )
      return this.#unreachable(error, code);
    if (error.code === status.UNIMPLEMENTED && /does not implement/.test(error.details))
      return new CallError(
        `what answers at ${this.address} does not know this call: ${error.details}`,
        code,
        {
          ...options,
          hint: 'It may be an older berthd, or another runtime: see --address.',
        },
      );
    return new CallError(error.details || code, code, options);
  }

  #unreachable(error: ServiceError, code: string): CallError {
    const options = { cause: error };
    const asOther = 'Use --address SOCKET or BERTH_ADDRESS if it listens elsewhere.';
    if (/EACCES|permission/i.test(error.details))
      return new CallError(`no permission to use ${this.address}`, code, {
        ...options,
        hint: 'Run it as root (sudo berth ...), or join the group of the socket (server.socket_group).',
      });
    return new CallError(`no daemon answers at ${this.address}`, code, {
      ...options,
      hint: `Start it: systemctl start berthd, or berthd as root. ${asOther}`,
    });
  }
}

function deadline({ timeoutMs }: CallOptions): { deadline?: number } {
  return timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
}

function isServiceError(error: unknown): error is ServiceError {
  return (
    error instanceof Error && typeof (error as { code?: unknown }).code === 'number' && 'details' in error
  );
}

async function withCancel<T>(
  signal: AbortSignal | undefined,
  cancel: () => void,
  work: Promise<T>,
): Promise<T> {
  signal?.addEventListener('abort', cancel, { once: true });
  if (signal?.aborted === true) cancel();
  try {
    return await work;
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}
