/**
 * grpc-js keeps a call's deadline in 32 bits of milliseconds: one further away than 24.8 days wraps around, and a
 * StopContainer with a month of grace fails at once. A deadline that far away is as good as none, so none is set.
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

interface DeadlineReader {
  handleTimeoutHeader(header: string | Buffer): void;
}

/** Whether `header` (gRPC over HTTP/2, "Timeout") names a time that grpc-js cannot hold. */
export function isBeyondTimers(header: string): boolean {
  const match = /^(\d{1,8})([HMSmun])$/.exec(header);
  return match !== null && Number(match[1]) * unitMs[match[2]!]! > longestMs;
}

/** Teaches grpc-js to take such deadlines for none. Idempotent. */
export function tolerateLongDeadlines(): void {
  const prototype = BaseServerInterceptingCall.prototype as unknown as DeadlineReader & {
    toleratesLong?: true;
  };
  if (prototype.toleratesLong) return;
  const original = prototype.handleTimeoutHeader;
  prototype.handleTimeoutHeader = function handleTimeoutHeader(this: DeadlineReader, header) {
    if (!isBeyondTimers(header.toString())) original.call(this, header);
  };
  prototype.toleratesLong = true;
}
