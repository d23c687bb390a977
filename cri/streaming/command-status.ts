/** How an exec or attach session ended, as its client is told. */
export type CommandOutcome =
  | { readonly kind: 'exited'; readonly exitCode: number }
  /** Something other than the process failed: the runtime, the monitor, a client too slow to keep. */
  | { readonly kind: 'failed'; readonly message: string };

/**
 * `json`: a metav1.Status object, in version 4 of the channel protocol and later. `text`: nothing on success and plain
 * text on failure, which loses the exit code.
 */
export type StatusFormat = 'json' | 'text';

/** What the error stream carries for `outcome`; empty means success in either format. */
export function encodeStatus(outcome: CommandOutcome, format: StatusFormat): Buffer {
  if (format === 'text') return Buffer.from(failureText(outcome) ?? '');
  return Buffer.from(JSON.stringify(statusObject(outcome)));
}

function failureText(outcome: CommandOutcome): string | undefined {
  if (outcome.kind === 'failed') return `Internal error occurred: ${outcome.message}`;
  if (outcome.exitCode === 0) return undefined;
  return `command terminated with non-zero exit code: exit code ${outcome.exitCode}`;
}

function statusObject(outcome: CommandOutcome): object {
  const message = failureText(outcome);
  if (message === undefined) return { metadata: {}, status: 'Success' };
  if (outcome.kind === 'failed') {
    return { metadata: {}, status: 'Failure', message, reason: 'InternalError', code: 500 };
  }
  return {
    metadata: {},
    status: 'Failure',
    message,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(outcome.exitCode) }] },
  };
}
