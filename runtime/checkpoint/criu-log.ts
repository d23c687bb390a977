import { readFileSync } from 'node:fs';
import { RuntimeError } from '#base/errors.ts';

/** The first error that CRIU wrote into one of its logs, which says more than those that follow from it; '' if there is none. */
function criuWords(logs: readonly string[]): string {
  for (const path of logs) {
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch {
      continue; // CRIU did not come so far
    }
    // Lines are `(00.012345) Error (criu/file.c:12): words`, in a child's case with its pid before `Error`.
    // That it may not raise its own limits, for one, CRIU calls an error and goes on.
    const first = text.split('\n').find((line) => /\bError \(/.test(line) && !line.includes(' rlimit: '));
    if (first !== undefined) return first.slice(first.indexOf('Error (')).trim();
  }
  return '';
}

/** The error of a runtime that CRIU failed under, with CRIU's own words, and advice where the runtime lacks a library. */
export function withCriuWords(error: unknown, logs: readonly string[]): unknown {
  if (!(error instanceof RuntimeError) || error.kind !== 'Internal') return error;
  if (/libcriu/.test(error.message))
    return new RuntimeError('FailedPrecondition', `${error.message}; install the package libcriu2`, {
      cause: error,
    });
  const words = criuWords(logs);
  return words === ''
    ? error
    : new RuntimeError('Internal', `${error.message} (CRIU: ${words})`, {
        cause: error,
        details: error.details,
      });
}
