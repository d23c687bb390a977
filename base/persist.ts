/** Work that has to be done some time, whatever comes in between. */

const firstPauseMs = 1000;
const longestPauseMs = 300_000;

/**
 * Resolves when `work` has been tried once. Where it failed, it is tried again in the background until it succeeds, with pauses
 * that grow from a second to five minutes; `onFailure` is told of each failure. Never rejects, and keeps no process alive.
 */
export async function persist(
  work: () => Promise<void> | void,
  onFailure: (error: unknown) => void,
  pauseMs = firstPauseMs,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    onFailure(error);
    const again = (): void => void persist(work, onFailure, Math.min(2 * pauseMs, longestPauseMs));
    setTimeout(again, pauseMs).unref();
  }
}
