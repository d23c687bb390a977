import { abortError } from './errors.ts';

/**
 * Settles as `work` does, or rejects as soon as `signal` is aborted (Canceled, or the signal's own RuntimeError). `work` then
 * goes on, and nobody hears of its end.
 */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal, attempted: string): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(abortError(signal, attempted));
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** A signal that is aborted as `signal` is, but so much later; call `end` when nobody listens any more. */
export function abortLater(signal: AbortSignal, afterMs: number): { signal: AbortSignal; end: () => void } {
  const late = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    timer = setTimeout(() => late.abort(signal.reason), afterMs);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  return {
    signal: late.signal,
    end: () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    },
  };
}
