/**
 * Deadlines of calls. grpc-js makes a timer for each call, which is a good part of what a call costs that is answered from
 * memory, and keeps it in 32 bits of milliseconds: a deadline further away than 24.8 days wraps around, and a StopContainer
 * with a month of grace fails at once. Here unary calls share one timer, and a deadline that far away is as good as none.
 */
import { BaseServerInterceptingCall } from '@grpc/grpc-js/build/src/server-interceptors.js';

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};
const longestMs = 2 ** 31 - 1;
const mostDigits = 8;

/** Milliseconds that `header` names (gRPC over HTTP/2, "Timeout"), undefined for what is no such header. */
export function parseTimeoutMs(header: string): number | undefined {
  const last = header.length - 1;
  const unit = unitMs[header[last] ?? ''];
  if (unit === undefined || last < 1 || last > mostDigits) return undefined;
  let value = 0;
  for (let at = 0; at < last; at += 1) {
    const digit = header.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value * unit;
}

/** What grpc-js keeps to itself. Where it looks different one day, its own timers are used, and a test fails. */
interface CallOfGrpc {
  handleTimeoutHeader(header: string | Buffer): void;
  deadline?: unknown;
  readonly handler?: { readonly type?: unknown };
}

/** Teaches grpc-js to take deadlines that no timer holds for none, and to leave those of unary calls to us. Idempotent. */
export function takeOverDeadlines(): void {
  const prototype = BaseServerInterceptingCall.prototype as unknown as CallOfGrpc & { isTakenOver?: true };
  if (prototype.isTakenOver) return;
  const original = prototype.handleTimeoutHeader;
  prototype.handleTimeoutHeader = function handleTimeoutHeader(this: CallOfGrpc, header) {
    const timeoutMs = parseTimeoutMs(header.toString());
    if (timeoutMs !== undefined && timeoutMs > longestMs) return;
    if (timeoutMs !== undefined && this.handler?.type === 'unary' && this.deadline === Infinity)
      this.deadline = Date.now() + Math.trunc(timeoutMs);
    else original.call(this, header);
  };
  prototype.isTakenOver = true;
}

/** What ends when its time has come. */
export interface Expiring {
  expire(): void;
}

/** Ends calls at their deadlines. The one timer is set for the earliest and left as it is when that call ends before. */
export class Deadlines {
  /** On the clock of performance.now(), which nobody sets. */
  readonly #dueMs = new Map<Expiring, number>();
  #timer: NodeJS.Timeout | undefined;
  #timerMs = Infinity;

  /** `deadlineMs` is on the wall clock, Infinity for none. */
  add(call: Expiring, deadlineMs: number): void {
    if (deadlineMs === Infinity) return;
    const dueMs = performance.now() + (deadlineMs - Date.now());
    this.#dueMs.set(call, dueMs);
    if (dueMs < this.#timerMs) this.#setTimer(dueMs);
  }

  delete(call: Expiring): void {
    this.#dueMs.delete(call);
  }

  #setTimer(dueMs: number): void {
    clearTimeout(this.#timer);
    this.#timerMs = dueMs;
    // What keeps the process alive is the server, not a deadline.
    const leftMs = Math.max(dueMs - performance.now(), 0);
    this.#timer = setTimeout(() => this.#expire(), leftMs).unref();
  }

  #expire(): void {
    const nowMs = performance.now();
    let nextMs = Infinity;
    this.#timerMs = Infinity;
    for (const [call, dueMs] of this.#dueMs) {
      if (dueMs > nowMs) {
        nextMs = Math.min(nextMs, dueMs);
        continue;
      }
      this.#dueMs.delete(call);
      call.expire();
    }
    if (nextMs < Infinity) this.#setTimer(nextMs);
  }
}
