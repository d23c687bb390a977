/** Thrown by a check that will not come true any more: the waiting ends at once. */
export class Hopeless extends Error {}

/**
 * Calls `check` until it returns without throwing, at most for `timeoutMs`, and resolves with what it returned. Rejects with
 * the last thing it threw. What is waited for here is other programs' state, which nobody announces to a script.
 */
export async function until<T>(what: string, timeoutMs: number, check: () => T | Promise<T>): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (cause) {
      if (cause instanceof Hopeless || Date.now() >= deadline) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new Error(`${what}: not within ${timeoutMs / 1000} s: ${reason}`, { cause });
      }
    }
    await pause(100);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
