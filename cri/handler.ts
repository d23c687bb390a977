/**
 * The one adapter around every handler: bytes to message, deadline and cancellation to an AbortSignal, errors to a
 * status, and a log line and metrics for each call. A handler can throw whatever it likes; nothing it does ends the
 * process or leaves the client waiting.
 */
import type {
  handleBidiStreamingCall,
  handleClientStreamingCall,
  handleServerStreamingCall,
} from '@grpc/grpc-js';
import { type AdapterOptions, OpenCall, type ServedMethod, type ServerCall } from './open-call.ts';
import type { GrpcStatus } from './status.ts';
import type { UnaryAnswer } from './unary-call.ts';

interface Writable {
  write(bytes: Buffer, callback: () => void): unknown;
}

type Work = (request: never, signal: AbortSignal) => unknown;

/**
 * Wraps a unary handler. It takes and gives bytes: (de)serialisers of grpc-js are the identity. What a handler has at hand
 * leaves without a turn of the event loop, and without a promise.
 */
export function adaptUnary(method: ServedMethod, work: Work, options: AdapterOptions): UnaryAnswer {
  return (call, callback) => {
    const open = new OpenCall(method, call, options);
    const fail = (error: unknown): void => callback(open.fail(error));
    const succeed = (reply: unknown): void => {
      let bytes: Buffer;
      try {
        bytes = bytesOf(method, reply);
      } catch (error) {
        fail(error);
        return;
      }
      open.succeed(reply);
      callback(null, bytes);
    };
    let reply: unknown;
    try {
      reply = open.answer(work as (request: unknown, signal: AbortSignal) => unknown);
    } catch (error) {
      fail(error);
      return;
    }
    if (reply instanceof Promise) reply.then(succeed, fail);
    else succeed(reply);
  };
}

type StreamWork = (
  request: never,
  send: (message: never) => Promise<void>,
  signal: AbortSignal,
) => Promise<void>;

/** Wraps a server-streaming handler for grpc-js. */
export function adaptStream(
  method: ServedMethod,
  work: StreamWork,
  options: AdapterOptions,
): handleServerStreamingCall<Buffer, Buffer> {
  return (call) => {
    run(method, call as unknown as ServerCall, options, async (request, signal) => {
      await work(request as never, (message) => write(call, bytesOf(method, message), signal), signal);
      return { reply: undefined, bytes: Buffer.alloc(0) };
    }).then(
      () => call.end(),
      (status: GrpcStatus) => call.emit('error', status),
    );
  };
}

type UploadWork = (requests: AsyncIterable<never>, signal: AbortSignal) => unknown;

/** Wraps a client-streaming handler for grpc-js. Requests are read as fast as the handler takes them. */
export function adaptUpload(
  method: ServedMethod,
  work: UploadWork,
  options: AdapterOptions,
): handleClientStreamingCall<Buffer, Buffer> {
  return (call, callback) => {
    run(method, call as unknown as ServerCall, options, async (_, signal) => {
      const reply = await work(requestsOf(method, call, signal), signal);
      return { reply, bytes: bytesOf(method, reply) };
    }).then(
      (bytes) => callback(null, bytes),
      (status: GrpcStatus) => callback(status as never),
    );
  };
}

type DialogueWork = (
  requests: AsyncIterable<never>,
  send: (message: never) => Promise<void>,
  signal: AbortSignal,
) => Promise<void>;

/** Wraps a handler that streams both ways for grpc-js. */
export function adaptDialogue(
  method: ServedMethod,
  work: DialogueWork,
  options: AdapterOptions,
): handleBidiStreamingCall<Buffer, Buffer> {
  return (call) => {
    run(method, call as unknown as ServerCall, options, async (_, signal) => {
      const send = (message: never) => write(call, bytesOf(method, message), signal);
      await work(requestsOf(method, call, signal), send, signal);
      return { reply: undefined, bytes: Buffer.alloc(0) };
    }).then(
      () => call.end(),
      (status: GrpcStatus) => call.emit('error', status),
    );
  };
}

/** The decoded requests of a call. Throws the signal's reason when the call ends early. */
async function* requestsOf(
  method: ServedMethod,
  call: AsyncIterable<Buffer>,
  signal: AbortSignal,
): AsyncGenerator<never> {
  try {
    for await (const bytes of call) {
      signal.throwIfAborted();
      yield method.decodeRequest(bytes) as never;
    }
  } catch (error) {
    // A call that its client gave up is destroyed: the stream's own error says nothing of it.
    signal.throwIfAborted();
    throw error;
  }
}

/** Runs one call that streams. Rejects with a GrpcStatus and nothing else. */
async function run(
  method: ServedMethod,
  call: ServerCall,
  options: AdapterOptions,
  work: (request: unknown, signal: AbortSignal) => Promise<{ reply: unknown; bytes: Buffer }>,
): Promise<Buffer> {
  const open = new OpenCall(method, call, options);
  try {
    const { reply, bytes } = await open.answer(work);
    open.succeed(reply);
    return bytes;
  } catch (error) {
    throw open.fail(error);
  }
}

function bytesOf(method: ServedMethod, reply: unknown): Buffer {
  return Buffer.isBuffer(reply) ? reply : method.encodeReply(reply);
}

/** grpc-js forgets the callback of a write when the call has ended, so the signal ends the wait too. */
function write(call: Writable, bytes: Buffer, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    call.write(bytes, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
  });
}
