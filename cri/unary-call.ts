/**
 * Unary calls without what grpc-js has around their handlers for the general case: a writable stream per call, a timer, three
 * headers that nobody reads, and a wait for the reply to be written before the status is given. That is a third of the time
 * of a call that is answered from memory. grpc-js has interceptors for such things; this one is a handler at the same time.
 */
import {
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js';
import { Deadlines } from './deadlines.ts';
import type { ServerCall } from './open-call.ts';
import type { GrpcStatus } from './status.ts';

/** Answers one unary call; `reply` is called once, with an error or the bytes of the reply. */
export type UnaryAnswer = (
  call: ServerCall,
  reply: (error: GrpcStatus | null, bytes?: Buffer) => void,
) => void;

type Headers = ReturnType<Metadata['toHttp2Headers']>;

/** Metadata that is the same for all calls, and says which headers of others are left out. */
class FixedMetadata extends Metadata {
  readonly #headers: Headers;

  constructor(headers: Headers) {
    super();
    this.#headers = headers;
  }

  override clone(): this {
    return this;
  }

  override toHttp2Headers(): Headers {
    return this.#headers;
  }
}

/** `identity` is what a reply is without these (gRPC over HTTP/2, "Message-Encoding"); a date of no value keeps Node's away. */
const replyHeaders = new FixedMetadata({
  'grpc-encoding': undefined,
  'grpc-accept-encoding': undefined,
  date: [] as never,
});
const succeeded = {
  code: status.OK,
  details: '',
  metadata: new FixedMetadata({ 'grpc-message': undefined }),
};
const nothing = (): void => {};

class UnaryCall extends ServerInterceptingCall implements ServerCall {
  readonly #call: ServerInterceptingCallInterface;
  readonly #answer: UnaryAnswer;
  readonly #deadlines: Deadlines;
  #onCancelled: () => void = nothing;
  request: Buffer | undefined;
  metadata: Metadata | undefined;
  cancelled = false;

  constructor(call: ServerInterceptingCallInterface, answer: UnaryAnswer, deadlines: Deadlines) {
    super(call);
    this.#call = call;
    this.#answer = answer;
    this.#deadlines = deadlines;
  }

  /** The listener of grpc-js, which would make the stream and call the handler, is left out. */
  override start(): void {
    this.#call.start(this);
  }

  onReceiveMetadata(metadata: Metadata): void {
    this.metadata = metadata;
    this.#deadlines.add(this, Number(this.#call.getDeadline()));
    this.#call.startRead();
  }

  onReceiveMessage(message: Buffer): void {
    if (this.request) {
      this.#refuse('a second request message');
      return;
    }
    this.request = message;
    this.#call.startRead();
  }

  onReceiveHalfClose(): void {
    if (!this.request) {
      this.#refuse('no request message');
      return;
    }
    this.#answer(this, (error, bytes) => {
      if (error) this.#call.sendStatus(error);
      else this.#succeed(bytes!);
    });
  }

  /** Comes at the end of every call, also of one that was answered. */
  onCancel(): void {
    this.cancelled = true;
    this.#deadlines.delete(this);
    this.#onCancelled();
  }

  on(_event: 'cancelled', listener: () => void): void {
    this.#onCancelled = listener;
  }

  expire(): void {
    this.#call.sendStatus({ code: status.DEADLINE_EXCEEDED, details: 'Deadline exceeded' });
  }

  #refuse(what: string): void {
    this.#call.sendStatus({ code: status.UNIMPLEMENTED, details: `received ${what} for a unary call` });
  }

  /** The status does not wait for the reply to be written. Of a reply that is too large grpc-js has said so by then. */
  #succeed(bytes: Buffer): void {
    this.#call.sendMetadata(replyHeaders);
    this.#call.sendMessage(bytes, nothing);
    this.#call.sendStatus(succeeded);
  }
}

/** Answers the unary calls of `answers`, which are by path; other calls pass. */
export function answerUnary(answers: ReadonlyMap<string, UnaryAnswer>): ServerInterceptor {
  const deadlines = new Deadlines();
  return (method, call) => {
    const answer = answers.get(method.path);
    return answer
      ? new UnaryCall(call, answer, deadlines)
      : // The type asks for the class, the library for no more than the interface.
        (call as ServerInterceptingCall);
  };
}
