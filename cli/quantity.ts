/** Sizes, times and ages: read as people write them, written as people read them. */

const sizeUnits: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/** `512m`, `1.5g`, `64KiB`, `1000` as bytes; undefined for anything else. Units are binary, as in docker's --memory. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?$/i.exec(text.trim());
  if (match === null) return undefined;
  return Math.round(Number(match[1]) * sizeUnits[match[2]!.toLowerCase()]!);
}

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `90` (seconds), `1m30s`, `1.5h`, `2d` as milliseconds; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined;
  let totalMs = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g))
    totalMs += Number(number) * durationUnits[unit!]!;
  return totalMs;
}

/**
 * A moment in Unix milliseconds: Unix seconds (nine digits and more), RFC 3339 (without a zone: this machine's), or a
 * duration back from `nowMs`. undefined for anything else.
 */
export function parseTime(text: string, nowMs: number): number | undefined {
  if (/^\d{9,}(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const durationMs = parseDuration(text);
  if (durationMs !== undefined) return nowMs - durationMs;
  const moment = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(moment) ? undefined : moment;
}

/** `1.21 MB`, in powers of 1000 as docker shows images, or of 1024 (`1.15 MiB`) as it shows memory. */
export function formatSize(bytes: number | bigint, base: 1000 | 1024 = 1000): string {
  const units =
    base === 1000 ? ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] : ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = Number(bytes);
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/** `3 seconds`, `2 hours`, `5 days`: the largest unit that fits, rounded down. */
export function formatDuration(ms: number): string {
  const steps: readonly (readonly [string, number])[] = [
    ['year', 365 * 86_400_000],
    ['month', 30 * 86_400_000],
    ['week', 7 * 86_400_000],
    ['day', 86_400_000],
    ['hour', 3_600_000],
    ['minute', 60_000],
    ['second', 1000],
  ];
  // Weeks and months from two of them on: before, days tell more.
  const [name, unitMs] =
    steps.find(([unit, each]) => ms >= (unit === 'week' || unit === 'month' ? 2 * each : each)) ??
    steps.at(-1)!;
  const count = Math.max(0, Math.floor(ms / unitMs));
  return `${count} ${name}${count === 1 ? '' : 's'}`;
}

/** How long ago a moment in Unix nanoseconds was: `5 minutes ago`; '' for 0. */
export function formatAge(atNs: bigint, nowMs = Date.now()): string {
  return atNs === 0n ? '' : `${formatDuration(Math.max(0, nowMs - Number(atNs / 1_000_000n)))} ago`;
}

/** A moment in Unix nanoseconds as RFC 3339; '' for 0. */
export function formatTime(atNs: bigint): string {
  if (atNs === 0n) return '';
  const whole = new Date(Number(atNs / 1_000_000n)).toISOString();
  return `${whole.slice(0, 19)}.${(atNs % 1_000_000_000n).toString().padStart(9, '0')}Z`;
}
