/** One call from its beginning to its end: its signal, and what is counted, traced and logged of it. */
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
export interface ServerCall {
  /** Absent where requests are streamed. */
  readonly request?: Buffer | undefined;
  readonly cancelled: boolean;
  readonly metadata?: { get(name: string): readonly (string | Buffer)[] } | undefined;
  getDeadline(): Date | number;
  on(event: 'cancelled', listener: () => void): unknown;
}

/**
 * A client's own clock ends its call a moment before ours does, and it then only says "cancelled"; so close to the
 * deadline the deadline is the reason.
 */
const deadlineToleranceMs = 100;

export class OpenCall {
  readonly #method: ServedMethod;
  readonly #call: ServerCall;
  readonly #options: AdapterOptions;
  readonly #startedMs = performance.now();
  readonly #ended: ((result: string) => void) | undefined;
  readonly #cancel = new AbortController();
  #isOver = false;
  #request: unknown;

  constructor(method: ServedMethod, call: ServerCall, options: AdapterOptions) {
    this.#method = method;
    this.#call = call;
    this.#options = options;
    this.#ended = options.metrics?.begin(method.name);
    call.on('cancelled', () => this.#cancelled());
    if (call.cancelled) this.#cancelled();
    options.calls.add(this.#cancel);
  }

  /** Runs `work` on the decoded request: at once, unless the daemon still recovers or somebody watches calls. */
  answer<T>(work: (request: unknown, signal: AbortSignal) => T | Promise<T>): T | Promise<T> {
    const { readiness } = this.#options;
    const { name, isAlwaysAnswered } = this.#method;
    const { signal } = this.#cancel;
    const bytes = this.#call.request;
    if (bytes !== undefined) this.#request = this.#method.decodeRequest(bytes);
    const isHeldBack = !readiness.isReady && !isAlwaysAnswered;
    if (!isHeldBack && !areSpansWatched('rpc')) {
      signal.throwIfAborted();
      return work(this.#request, signal);
    }
    const later = async (): Promise<T> => {
      if (isHeldBack) await readiness.wait(name, signal);
      signal.throwIfAborted();
      return work(this.#request, signal);
    };
    return span('rpc', name, later, spanAttributes(this.#call, this.#request));
  }

  /** To be called once, as the one below. */
  succeed(reply: unknown): void {
    this.#end(reply, undefined);
  }

  /** The status for what was thrown. */
  fail(thrown: unknown): GrpcStatus {
    const error = asDiskFull(thrown ?? new Error('a handler threw undefined'), this.#method.name);
    this.#end(undefined, error);
    return grpcStatusOf(error);
  }

  #end(reply: unknown, error: unknown): void {
    this.#isOver = true;
    this.#options.calls.delete(this.#cancel);
    this.#ended?.(resultName(error));
    const call = { request: this.#request, reply, startedMs: this.#startedMs, error };
    logCall(this.#options.log, this.#method, call);
  }

  /** grpc-js says "cancelled" at the end of every call, also of one that was answered: an error would be made for nobody. */
  #cancelled(): void {
    if (!this.#isOver) this.#cancel.abort(cancellation(this.#method.name, this.#call));
  }
}

function cancellation(rpc: string, call: ServerCall): RuntimeError {
  const leftMs = Number(call.getDeadline()) - Date.now();
  return leftMs <= deadlineToleranceMs
    ? new RuntimeError('DeadlineExceeded', `${rpc}: the client's deadline has passed`)
    : new RuntimeError('Canceled', `${rpc}: canceled by the client`);
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
