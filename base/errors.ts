/**
 * The one error type of Berth. It is made where something goes wrong; only `cri/status.ts` turns its kind into a
 * gRPC status. No other code reads the text of a message.
 */

export const errorKinds = [
  'InvalidArgument',
  'NotFound',
  'AlreadyExists',
  'FailedPrecondition',
  'Unavailable',
  'ResourceExhausted',
  'PermissionDenied',
  'Unauthenticated',
  'Unimplemented',
  'Canceled',
  'DeadlineExceeded',
  'DataLoss',
  'Unknown',
  'Internal',
] as const;

/** `Unknown` is kept for what the CRI wants said without a class: failed pulls, whose text the kubelet reads. */
export type ErrorKind = (typeof errorKinds)[number];

export interface RuntimeErrorOptions {
  /** The error that caused this one, kept for the log. */
  readonly cause?: unknown;
  /** Facts for the log: ids, paths, exit codes. Never credentials. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** An error with a kind. `message` says what was attempted, on which id or path, and the next step where there is one. */
export class RuntimeError extends Error {
  readonly kind: ErrorKind;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(kind: ErrorKind, message: string, options: RuntimeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RuntimeError';
    this.kind = kind;
    this.details = options.details ?? {};
  }
}

/** Whether `error` is a RuntimeError, of the given kind where one is named. */
export function isRuntimeError(error: unknown, kind?: ErrorKind): error is RuntimeError {
  return error instanceof RuntimeError && (kind === undefined || error.kind === kind);
}

/** The text of any thrown value, for building a message around it. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The errno name (`ENOENT`) of a Node or host error, if it has one. */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** Throws Canceled, with the signal's reason as its cause, if `signal` is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined, attempted: string): void {
  if (signal?.aborted) throw abortError(signal, attempted);
}

/** The error for work given up because `signal` was aborted: its own RuntimeError reason, or Canceled. */
export function abortError(signal: AbortSignal, attempted: string): RuntimeError {
  if (signal.reason instanceof RuntimeError) return signal.reason;
  return new RuntimeError('Canceled', `${attempted}: canceled by the client`, { cause: signal.reason });
}
