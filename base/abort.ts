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
