/** From samples to the result file, and from that to a table for people. Pure. */
import type { Metric, NetworkSetup, Unit } from './load.ts';
import type { LoadResult } from './schedule.ts';
import { floorName } from './schedule.ts';
import { compareRounds, type Ratio, type Summary, summarize } from './statistics.ts';

export interface MetricResult {
  readonly key: string;
  readonly title: string;
  readonly unit: Unit;
  readonly inReadme: boolean;
  /** By column. */
  readonly columns: { readonly [column: string]: Summary };
  /** Berth against the peer or floor of that name, pair by pair. */
  readonly ratios: { readonly [column: string]: Ratio };
  /** The containerd variant with the smallest median. */
  readonly betterPeer?: string;
  readonly target?: {
    readonly kind: 'ratio' | 'max';
    readonly limit: number;
    readonly value: number;
    readonly isMet: boolean;
  };
  /** Every sample by column, then by round. */
  readonly samples: { readonly [column: string]: readonly (readonly number[])[] };
}

export interface LoadReport {
  readonly name: string;
  readonly title: string;
  readonly setup: NetworkSetup;
  readonly seconds: number;
  readonly failures: { readonly [column: string]: string };
  readonly metrics: readonly MetricResult[];
}

export interface BenchReport {
  readonly format: 1;
  readonly startedAt: string;
  readonly seconds: number;
  readonly isQuick: boolean;
  readonly machine: { readonly [fact: string]: string };
  readonly versions: { readonly [program: string]: string };
  readonly loads: readonly LoadReport[];
}

const ours = 'berth';

export function makeLoadReport(result: LoadResult, isQuick: boolean): LoadReport {
  return {
    name: result.load.name,
    title: result.load.title,
    setup: result.load.setup,
    seconds: round(result.seconds),
    failures: Object.fromEntries(result.failures),
    metrics: result.load.metrics.flatMap((metric) => {
      const made = makeMetricResult(metric, result, isQuick);
      return made === undefined ? [] : [made];
    }),
  };
}

function makeMetricResult(metric: Metric, result: LoadResult, isQuick: boolean): MetricResult | undefined {
  const samples: { [column: string]: readonly (readonly number[])[] } = {};
  const columns: { [column: string]: Summary } = {};
  for (const [column, byMetric] of result.samples) {
    const rounds = byMetric[metric.key] ?? [];
    const summary = summarize(rounds);
    if (summary === undefined) continue;
    samples[column] = rounds.map((values) => values.map(round));
    columns[column] = mapNumbers(summary);
  }
  if (Object.keys(columns).length === 0) return undefined;
  const ratios: { [column: string]: Ratio } = {};
  for (const column of Object.keys(columns)) {
    if (column === ours || samples[ours] === undefined) continue;
    const ratio = compareRounds(samples[ours], samples[column] ?? []);
    if (ratio !== undefined && Number.isFinite(ratio.median)) ratios[column] = mapNumbers(ratio);
  }
  const betterPeer = Object.keys(columns)
    .filter((column) => column !== ours && column !== floorName)
    .toSorted((a, b) => columns[a]!.median - columns[b]!.median)[0];
  const target = judge(metric, isQuick, { columns, ratios, betterPeer });
  return {
    key: metric.key,
    title: metric.title,
    unit: metric.unit,
    inReadme: metric.inReadme === true,
    columns,
    ratios,
    ...(betterPeer === undefined ? {} : { betterPeer }),
    ...(target === undefined ? {} : { target }),
    samples,
  };
}

function judge(
  metric: Metric,
  isQuick: boolean,
  found: Pick<MetricResult, 'columns' | 'ratios'> & { readonly betterPeer: string | undefined },
): MetricResult['target'] {
  const limit = (isQuick ? metric.quickTargetRatio : undefined) ?? metric.targetRatio;
  const ratio = found.betterPeer === undefined ? undefined : found.ratios[found.betterPeer]?.median;
  if (limit !== undefined && ratio !== undefined)
    return { kind: 'ratio', limit, value: ratio, isMet: ratio <= limit };
  const value = found.columns[ours]?.median;
  if (metric.targetMax !== undefined && value !== undefined)
    return { kind: 'max', limit: metric.targetMax, value, isMet: value <= metric.targetMax };
  return undefined;
}

/** Three digits after the point are more than any of this is worth. */
function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function mapNumbers<T extends object>(value: T): T {
  return Object.fromEntries(
    Object.entries(value).map(([key, number]) => [key, round(number as number)]),
  ) as T;
}

/** A value as people read it: three significant digits, with its unit. */
export function formatValue(value: number, unit: Unit): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}${unit === 'count' ? '' : ` ${unit}`}`;
}

/** Lines for a terminal: one per metric, with median and 95th percentile by column and the ratio to the better peer. */
export function formatLoad(load: LoadReport): string {
  const lines = [`${load.title} (${load.name}, ${load.seconds.toFixed(0)} s)`];
  for (const metric of load.metrics) {
    const cells = Object.entries(metric.columns).map(
      ([column, { median, p95 }]) =>
        `${column} ${formatValue(median, metric.unit)} (p95 ${formatValue(p95, metric.unit)})`,
    );
    const ratios = Object.entries(metric.ratios).map(
      ([column, { median }]) => `${median.toFixed(2)} of ${column}`,
    );
    const target =
      metric.target === undefined
        ? []
        : [
            `${metric.target.isMet ? 'reached' : 'MISSED'}: ${metric.target.value.toFixed(2)}, wanted ${metric.target.limit}`,
          ];
    lines.push(`  ${metric.title}: ${[...cells, ...ratios, ...target].join('; ')}`);
  }
  for (const [column, reason] of Object.entries(load.failures))
    lines.push(`  FAILED on ${column}: ${reason}`);
  return lines.join('\n');
}
