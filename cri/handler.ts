/**
 * The one adapter around every handler: bytes to message, deadline and cancellation to an AbortSignal, errors to a
 * status, and a log line and metrics for each call. A handler can throw whatever it likes; nothing it does ends the
 * process or leaves the client waiting.
 */
import type {
  handleBidiStreamingCall,
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
} from '@grpc/grpc-js';
import { asDiskFull } from '#base/disk-full.ts';
import { RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { WorkMetrics } from '#base/metrics.ts';
import { areSpansWatched, type Span, span } from '#base/span.ts';
import { logCall } from './call-log.ts';
import type { InFlightCalls } from './in-flight.ts';
import type { Readiness } from './readiness.ts';
import { type GrpcStatus, grpcStatusOf, resultName } from './status.ts';

/** One RPC of any service, as the adapter sees it. */
export interface ServedMethod {
  readonly name: string;
  /** Throws InvalidArgument if the bytes are no such message. */
  decodeRequest(bytes: Buffer): unknown;
  encodeReply(reply: unknown): Buffer;
  /** Answers while the daemon still recovers: its answer says so. */
  readonly isAlwaysAnswered: boolean;
  /** Changes something, and is worth a line in the log. */
  readonly isChange: boolean;
}

export interface AdapterOptions {
  readonly log: Log;
  readonly metrics: WorkMetrics | undefined;
  readonly readiness: Readiness;
  readonly calls: InFlightCalls;
}

/** What the adapter needs of a grpc-js call, unary or streaming. */
interface ServerCall {
  /** Absent where requests are streamed. */
  readonly request?: Buffer;
  readonly cancelled: boolean;
  readonly metadata?: { get(name: string): readonly (string | Buffer)[] };
  getDeadline(): Date | number;
  on(event: 'cancelled', listener: () => void): unknown;
}

interface Writable {
  write(bytes: Buffer, callback: () => void): unknown;
}

/**
 * A client's own clock ends its call a moment before ours does, and it then only says "cancelled"; so close to the
 * deadline the deadline is the reason.
 */
const deadlineToleranceMs = 100;

type Work = (request: never, signal: AbortSignal) => unknown;

/** Wraps a unary handler for grpc-js. It takes and gives bytes: (de)serialisers of grpc-js are the identity. */
export function adaptUnary(
  method: ServedMethod,
  work: Work,
  options: AdapterOptions,
): handleUnaryCall<Buffer, Buffer> {
  return (call, callback) => {
    run(method, call as unknown as ServerCall, options, async (request, signal) => {
      const reply = await work(request as never, signal);
      return { reply, bytes: bytesOf(method, reply) };
    }).then(
      (bytes) => callback(null, bytes),
      (status: GrpcStatus) => callback(status as never),
    );
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

/** Runs one call from its bytes to its bytes. Rejects with a GrpcStatus and nothing else. */
async function run(
  method: ServedMethod,
  call: ServerCall,
  { log, metrics, readiness, calls }: AdapterOptions,
  work: (request: unknown, signal: AbortSignal) => Promise<{ reply: unknown; bytes: Buffer }>,
): Promise<Buffer> {
  const startedMs = performance.now();
  const rpc = method.name;
  const ended = metrics?.begin(rpc);
  const cancel = new AbortController();
  const onCancelled = (): void => cancel.abort(cancellation(rpc, call));
  call.on('cancelled', onCancelled);
  if (call.cancelled) onCancelled();
  calls.add(cancel);
  let request: unknown;
  let reply: unknown;
  let error: unknown;
  try {
    if (call.request !== undefined) request = method.decodeRequest(call.request);
    const answer = async () => {
      if (!readiness.isReady && !method.isAlwaysAnswered) await readiness.wait(rpc, cancel.signal);
      cancel.signal.throwIfAborted();
      return work(request, cancel.signal);
    };
    const result = areSpansWatched()
      ? await span('rpc', rpc, answer, spanAttributes(call, request))
      : await answer();
    reply = result.reply;
    return result.bytes;
  } catch (caught) {
    error = asDiskFull(caught ?? new Error('a handler threw undefined'), rpc);
    throw grpcStatusOf(error);
  } finally {
    calls.delete(cancel);
    ended?.(resultName(error));
    logCall(log, method, { request, reply, startedMs, error });
  }
}

/** What a trace says of a call: whose it is, by ids alone, and which trace of the client's it belongs to (W3C Trace Context). */
function spanAttributes(call: ServerCall, request: unknown): Span['attributes'] {
  const attributes: Record<string, string> = {};
  const traceparent = call.metadata?.get('traceparent')[0];
  if (typeof traceparent === 'string') attributes.traceparent = traceparent;
  const fields = (request ?? {}) as Readonly<Record<string, unknown>>;
  for (const name of ['container_id', 'pod_sandbox_id'])
    if (typeof fields[name] === 'string' && fields[name] !== '') attributes[name] = fields[name];
  return attributes;
}

function cancellation(rpc: string, call: ServerCall): RuntimeError {
  const leftMs = Number(call.getDeadline()) - Date.now();
  return leftMs <= deadlineToleranceMs
    ? new RuntimeError('DeadlineExceeded', `${rpc}: the client's deadline has passed`)
    : new RuntimeError('Canceled', `${rpc}: canceled by the client`);
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
