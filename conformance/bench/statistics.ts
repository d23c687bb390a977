/** The few statistics that the benchmark reports. Pure. */

export interface Summary {
  readonly median: number;
  readonly p95: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

export interface Ratio {
  /** Median over the rounds of (ours / theirs), each from the two medians of one round. */
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The middle of the values, the mean of the two middle ones if their number is even. NaN without values. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The smallest value that at least `percent` of all values do not exceed (nearest rank). NaN without values. */
export function percentile(values: readonly number[], percent: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]!;
}

/** All rounds together; undefined when nothing was measured. */
export function summarize(rounds: readonly (readonly number[])[]): Summary | undefined {
  const values = rounds.flat();
  if (values.length === 0) return undefined;
  return {
    median: median(values),
    p95: percentile(values, 95),
    min: Math.min(...values),
    max: Math.max(...values),
    count: values.length,
  };
}

/**
 * Ours against theirs, round by round: what disturbs the machine for a whole round disturbs both and cancels. Rounds that
 * one of the two lacks are left out; undefined when none is left.
 */
export function compareRounds(
  ours: readonly (readonly number[])[],
  theirs: readonly (readonly number[])[],
): Ratio | undefined {
  const ratios = ours.flatMap((round, index) => {
    const other = theirs[index] ?? [];
    return round.length > 0 && other.length > 0 ? [median(round) / median(other)] : [];
  });
  if (ratios.length === 0) return undefined;
  return { median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) };
}
