/** Pressure stall information of a cgroup (kernel Documentation/accounting/psi.rst). */

/** One line of a pressure file: percent of the last 10, 60 and 300 seconds, and nanoseconds in all. */
export interface PressureLine {
  readonly avg10: number;
  readonly avg60: number;
  readonly avg300: number;
  readonly totalNs: bigint;
}

/** Time lost to waiting for a resource: by some tasks, or by all at once. */
export interface Pressure {
  readonly some: PressureLine | undefined;
  readonly full: PressureLine | undefined;
}

/** A pressure file; undefined if the text holds neither line. `full` is absent from cpu.pressure before Linux 5.13. */
export function parsePressure(text: string): Pressure | undefined {
  const some = pressureLine(text, 'some');
  const full = pressureLine(text, 'full');
  return some || full ? { some, full } : undefined;
}

function pressureLine(text: string, kind: 'some' | 'full'): PressureLine | undefined {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${kind} `));
  if (line === undefined) return undefined;
  const match = / avg10=([\d.]+) avg60=([\d.]+) avg300=([\d.]+) total=(\d+)/.exec(line);
  if (!match) return undefined;
  return {
    avg10: Number(match[1]),
    avg60: Number(match[2]),
    avg300: Number(match[3]),
    totalNs: BigInt(match[4]!) * 1000n,
  };
}
