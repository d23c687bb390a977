/** Kinds of errors to gRPC status codes: here and nowhere else. Codes: gRPC, "Status codes and their use in gRPC". */
import { status } from '@grpc/grpc-js';
import { type ErrorKind, isRuntimeError } from '#base/errors.ts';

export const statusCodes = {
  InvalidArgument: status.INVALID_ARGUMENT,
  NotFound: status.NOT_FOUND,
  AlreadyExists: status.ALREADY_EXISTS,
  FailedPrecondition: status.FAILED_PRECONDITION,
  Unavailable: status.UNAVAILABLE,
  ResourceExhausted: status.RESOURCE_EXHAUSTED,
  PermissionDenied: status.PERMISSION_DENIED,
  Unauthenticated: status.UNAUTHENTICATED,
  Unimplemented: status.UNIMPLEMENTED,
  Canceled: status.CANCELLED,
  DeadlineExceeded: status.DEADLINE_EXCEEDED,
  DataLoss: status.DATA_LOSS,
  Unknown: status.UNKNOWN,
  Internal: status.INTERNAL,
} as const satisfies Record<ErrorKind, status>;

/** What goes over the wire: it has no other property, so grpc-js cannot take a stray `code` for a status. */
export interface GrpcStatus {
  readonly code: status;
  readonly details: string;
}

/** Messages travel in an HTTP/2 header; peers refuse headers of more than some kilobytes. */
const maxDetailsLength = 4096;

/**
 * The status for a thrown value. What is no RuntimeError is a bug of ours, hence Internal, whatever `code` it has.
 * The text is made well-formed, because grpc-js throws on lone surrogates, and shortened in its middle.
 */
export function grpcStatusOf(error: unknown): GrpcStatus {
  if (!isRuntimeError(error)) {
    const text = error instanceof Error ? error.message : String(error);
    return { code: statusCodes.Internal, details: wireText(`internal error: ${text}`) };
  }
  return { code: statusCodes[error.kind], details: wireText(error.message) };
}

function wireText(text: string): string {
  const half = maxDetailsLength / 2;
  const short = text.length <= maxDetailsLength ? text : `${text.slice(0, half)} ... ${text.slice(-half)}`;
  return short.toWellFormed();
}

/** The name of the status for metrics and logs: the error's kind, or `OK`. */
export function resultName(error: unknown): ErrorKind | 'OK' {
  if (error === undefined) return 'OK';
  return isRuntimeError(error) ? error.kind : 'Internal';
}
