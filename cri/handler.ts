/**
 * The one adapter around every handler: bytes to message, deadline and cancellation to an AbortSignal, errors to a
 * status, and a log line and metrics for each call. A handler can throw whatever it likes; nothing it does ends the
 * process or leaves the client waiting.
 */
import type { handleServerStreamingCall, handleUnaryCall, ServerWritableStream } from '@grpc/grpc-js';
import { RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { WorkMetrics } from '#base/metrics.ts';
import { decode, encode } from '#proto/codec.ts';
import type { MessageInits, MessageName, Messages } from '#proto/generated/cri.ts';
import { logCall } from './call-log.ts';
import type { InFlightCalls } from './in-flight.ts';
import { methods, type RpcName } from './method.ts';
import type { Readiness } from './readiness.ts';
import { type GrpcStatus, grpcStatusOf, resultName } from './status.ts';

export interface AdapterOptions {
  readonly log: Log;
  readonly metrics: WorkMetrics | undefined;
  readonly readiness: Readiness;
  readonly calls: InFlightCalls;
}

/** What the adapter needs of a grpc-js call, unary or streaming. */
interface ServerCall {
  readonly request: Buffer;
  readonly cancelled: boolean;
  getDeadline(): Date | number;
  on(event: 'cancelled', listener: () => void): unknown;
}

/** RPCs that answer while the daemon still recovers: their answer says so. */
const alwaysAnswered: ReadonlySet<RpcName> = new Set(['Version', 'Status'] satisfies RpcName[]);

/**
 * A client's own clock ends its call a moment before ours does, and it then only says "cancelled"; so close to the
 * deadline the deadline is the reason.
 */
const deadlineToleranceMs = 100;

type Work = (request: never, signal: AbortSignal) => unknown;

/** Wraps a unary handler for grpc-js. It takes and gives bytes: (de)serialisers of grpc-js are the identity. */
export function adaptUnary(
  rpc: RpcName,
  work: Work,
  options: AdapterOptions,
): handleUnaryCall<Buffer, Buffer> {
  return (call, callback) => {
    run(rpc, call as unknown as ServerCall, options, async (request, signal) => {
      const reply = await work(request as never, signal);
      return { reply, bytes: bytesOf(rpc, reply) };
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
  rpc: RpcName,
  work: StreamWork,
  options: AdapterOptions,
): handleServerStreamingCall<Buffer, Buffer> {
  return (call) => {
    run(rpc, call as unknown as ServerCall, options, async (request, signal) => {
      await work(request as never, (message) => write(call, bytesOf(rpc, message), signal), signal);
      return { reply: undefined, bytes: Buffer.alloc(0) };
    }).then(
      () => call.end(),
      (status: GrpcStatus) => call.emit('error', status),
    );
  };
}

/** Runs one call from its bytes to its bytes. Rejects with a GrpcStatus and nothing else. */
async function run(
  rpc: RpcName,
  call: ServerCall,
  { log, metrics, readiness, calls }: AdapterOptions,
  work: (request: unknown, signal: AbortSignal) => Promise<{ reply: unknown; bytes: Buffer }>,
): Promise<Buffer> {
  const startedMs = performance.now();
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
    request = decode(methods[rpc].requestType, call.request);
    if (!readiness.isReady && !alwaysAnswered.has(rpc)) await readiness.wait(rpc, cancel.signal);
    cancel.signal.throwIfAborted();
    const result = await work(request, cancel.signal);
    reply = result.reply;
    return result.bytes;
  } catch (caught) {
    error = caught ?? new Error('a handler threw undefined');
    throw grpcStatusOf(error);
  } finally {
    calls.delete(cancel);
    ended?.(resultName(error));
    logCall(log, rpc, { request, reply, startedMs, error });
  }
}

function cancellation(rpc: RpcName, call: ServerCall): RuntimeError {
  const leftMs = Number(call.getDeadline()) - Date.now();
  return leftMs <= deadlineToleranceMs
    ? new RuntimeError('DeadlineExceeded', `${rpc}: the client's deadline has passed`)
    : new RuntimeError('Canceled', `${rpc}: canceled by the client`);
}

function bytesOf(rpc: RpcName, reply: unknown): Buffer {
  if (Buffer.isBuffer(reply)) return reply;
  return encode(methods[rpc].responseType as MessageName, reply as MessageInits[keyof Messages]);
}

/** grpc-js forgets the callback of a write when the call has ended, so the signal ends the wait too. */
function write(
  call: ServerWritableStream<Buffer, Buffer>,
  bytes: Buffer,
  signal: AbortSignal,
): Promise<void> {
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
