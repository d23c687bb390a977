/** Wall clock in Unix nanoseconds, as the CRI counts time; strictly increasing within this process, also when the clock is set back. */
let last = 0n;

export function nowNs(): bigint {
  const now = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
  // performance.now() does not follow a clock that is set while the daemon runs; Date does. Take the difference when it matters.
  const wall = BigInt(Date.now()) * 1_000_000n;
  const drift = wall > now ? wall - now : now - wall;
  const chosen = drift > 100_000_000n ? wall : now;
  last = chosen > last ? chosen : last + 1n;
  return last;
}
