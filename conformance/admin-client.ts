/** A client of the admin service for tests: calls, streams and uploads, each collected to its end. */
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { decode, encode } from '#proto/berth/codec.ts';
import { Admin, type MessageInits, type Messages } from '#proto/berth/generated/admin.ts';
import { CriError } from './cri-client.ts';

type Methods = typeof Admin;
type RequestOf<N extends keyof Methods> = MessageInits[Methods[N]['requestType']];
type ReplyOf<N extends keyof Methods> = Messages[Methods[N]['responseType']];

const asIs = (bytes: Buffer): Buffer => bytes;

export class AdminClient {
  readonly #client: Client;

  /** `socket` is a path. */
  constructor(socket: string) {
    this.#client = new Client(`unix://${socket}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  /** Sends all requests and gives all replies, whatever of both is a stream. Rejects with CriError. */
  async call<N extends keyof Methods>(
    name: N,
    requests: readonly RequestOf<N>[],
    timeoutMs = 120_000,
  ): Promise<ReplyOf<N>[]> {
    const { path, requestType, responseType } = Admin[name];
    const replies: ReplyOf<N>[] = [];
    const call = this.#client.makeBidiStreamRequest(path, asIs, asIs, { deadline: Date.now() + timeoutMs });
    const ended = new Promise<void>((resolve, reject) => {
      call.on('data', (bytes: Buffer) => replies.push(decode(responseType, bytes) as ReplyOf<N>));
      call.on('end', resolve);
      call.on('error', (error) => reject(new CriError(name, error as ServiceError)));
    });
    for (const request of requests) call.write(encode(requestType, request as never));
    call.end();
    await ended;
    return replies;
  }

  close(): void {
    this.#client.close();
  }
}
