/** Between two samples nearer than this the tick of the scheduler's accounting (4 ms or more) spoils the rate. */
const shortestWindowNs = 100_000_000n;
/** A sample is kept as the start of the window until one this much younger has been seen. */
const windowNs = 1_000_000_000n;
/** A rate over a longer time says nothing of now. */
const longestWindowNs = 300_000_000_000n;

interface Sample {
  readonly atNs: bigint;
  readonly usageNs: bigint;
}

interface Track {
  base: Sample;
  rate: bigint | undefined;
}

/**
 * Core nanoseconds per second, from the samples that questions happen to bring: no timer samples when nobody asks. The
 * first question about a subject, and one that comes five minutes after the last, has no rate.
 */
export class CpuRates {
  readonly #tracks = new Map<string, Track>();

  /** Takes a sample of the subject `key` and says the rate since an earlier one. */
  observe(key: string, atNs: bigint, usageNs: bigint): bigint | undefined {
    const sample = { atNs, usageNs };
    const track = this.#tracks.get(key);
    const elapsedNs = track ? atNs - track.base.atNs : 0n;
    // Usage that went down is that of another group under the same name.
    if (!track || usageNs < track.base.usageNs || elapsedNs < 0n || elapsedNs > longestWindowNs) {
      this.#tracks.set(key, { base: sample, rate: undefined });
      return undefined;
    }
    if (elapsedNs >= shortestWindowNs)
      track.rate = ((usageNs - track.base.usageNs) * 1_000_000_000n) / elapsedNs;
    if (elapsedNs >= windowNs) track.base = sample;
    return track.rate;
  }

  /** Forgets a subject that is gone. */
  forget(key: string): void {
    this.#tracks.delete(key);
  }

  get size(): number {
    return this.#tracks.size;
  }
}
