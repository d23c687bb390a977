/** A CRI client for measuring and testing: its clock stops when the last byte of a reply is there, before it is decoded. */
import { Client, type ClientUnaryCall, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { decode, encode } from '#proto/codec.ts';
import { ImageService, type MessageInits, type Messages, RuntimeService } from '#proto/generated/cri.ts';

const methods = { ...RuntimeService, ...ImageService };
type Methods = typeof methods;
export type MethodName = keyof Methods;
export type RequestOf<N extends MethodName> = MessageInits[Methods[N]['requestType']];
export type ReplyOf<N extends MethodName> = Messages[Methods[N]['responseType']];

const asIs = (bytes: Buffer): Buffer => bytes;

/** A call that failed: its method, the name of its status (`NOT_FOUND`) and the server's words. */
export class CriError extends Error {
  readonly code: string;
  /** What the server said, without the method and the status. */
  readonly details: string;

  constructor(method: string, error: ServiceError) {
    super(`${method}: ${error.message}`, { cause: error });
    this.code = status[error.code] ?? String(error.code);
    this.details = error.details;
  }
}

export class CriClient {
  readonly #client: Client;

  /** `socket` is a path. Connects at the first call; make a new client after a restart of the server. */
  constructor(socket: string) {
    this.#client = new Client(`unix://${socket}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  /** One unary call. Rejects with CriError; `signal` cancels it. */
  async call<N extends MethodName>(
    name: N,
    request: RequestOf<N>,
    timeoutMs = 120_000,
    signal?: AbortSignal,
  ): Promise<ReplyOf<N>> {
    return (await this.time(name, request, timeoutMs, signal)).reply;
  }

  /** The same with its duration: from the encoded request to the encoded reply. */
  async time<N extends MethodName>(
    name: N,
    request: RequestOf<N>,
    timeoutMs = 120_000,
    signal?: AbortSignal,
  ): Promise<{ readonly ms: number; readonly reply: ReplyOf<N> }> {
    const method = methods[name];
    const body = encode(method.requestType, request);
    const startMs = performance.now();
    let call: ClientUnaryCall | undefined;
    const cancel = () => call?.cancel();
    const bytes = await new Promise<Buffer>((resolve, reject) => {
      call = this.#client.makeUnaryRequest(
        method.path,
        asIs,
        asIs,
        body,
        { deadline: Date.now() + timeoutMs },
        (error, reply) => {
          signal?.removeEventListener('abort', cancel);
          if (error !== null) reject(new CriError(name, error));
          else resolve(reply ?? Buffer.alloc(0));
        },
      );
      signal?.addEventListener('abort', cancel, { once: true });
      if (signal?.aborted === true) cancel();
    });
    const ms = performance.now() - startMs;
    return { ms, reply: decode(method.responseType, bytes) as ReplyOf<N> };
  }

  close(): void {
    this.#client.close();
  }
}
