/** A client of the CRI over grpc-js, for tests. */
import { type CallOptions, Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { decode, encode } from '#proto/codec.ts';
import type { MessageInits, MessageName, Messages } from '#proto/generated/cri.ts';
import { methods, type RpcName, type StreamName, type UnaryName } from '../method.ts';

type Response<K extends RpcName> = Messages[(typeof methods)[K]['responseType']];
type Init<K extends RpcName> = MessageInits[(typeof methods)[K]['requestType']];

const identity = (bytes: Buffer): Buffer => bytes;

export class CriClient {
  readonly #client: Client;

  constructor(socketPath: string) {
    this.#client = new Client(`unix:${socketPath}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': 16 * 1024 * 1024,
    });
  }

  /** Rejects with grpc-js' ServiceError. */
  call<K extends UnaryName>(
    rpc: K,
    request: Init<K> | Buffer,
    options: CallOptions & { signal?: AbortSignal } = {},
  ): Promise<Response<K>> {
    const bytes = Buffer.isBuffer(request) ? request : encodeRequest(rpc, request);
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        methods[rpc].path,
        identity,
        identity,
        bytes,
        new Metadata(),
        options,
        (error: ServiceError | null, reply?: Buffer) => {
          if (error) reject(error);
          else resolve(decode(methods[rpc].responseType as MessageName, reply!) as Response<K>);
        },
      );
      options.signal?.addEventListener('abort', () => call.cancel(), { once: true });
    });
  }

  /** All messages of a stream, or those until `stop` returns true. Rejects with grpc-js' ServiceError. */
  async collect<K extends StreamName>(
    rpc: K,
    request: Init<K>,
    stop: (messages: readonly Response<K>[]) => boolean = () => false,
  ): Promise<Response<K>[]> {
    const stream = this.#client.makeServerStreamRequest(
      methods[rpc].path,
      identity,
      identity,
      encodeRequest(rpc, request),
      new Metadata(),
      {},
    );
    const messages: Response<K>[] = [];
    for await (const bytes of stream as AsyncIterable<Buffer>) {
      messages.push(decode(methods[rpc].responseType as MessageName, bytes) as Response<K>);
      if (!stop(messages)) continue;
      stream.cancel();
      break;
    }
    return messages;
  }

  /** An RPC that no service has. */
  callUnknown(path: string): Promise<Buffer | undefined> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        identity,
        identity,
        Buffer.alloc(0),
        (error: ServiceError | null, reply?: Buffer) => (error ? reject(error) : resolve(reply)),
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}

function encodeRequest<K extends RpcName>(rpc: K, request: Init<K>): Buffer {
  return encode(methods[rpc].requestType as MessageName, request as MessageInits[MessageName]);
}
