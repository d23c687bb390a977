/**
 * The figures of one kind of work, kept as plain numbers: prom-client finds each series by a text that it makes of the
 * labels, three times for a piece of work, which is much beside a call that is answered from memory.
 */
import Counter from 'prom-client/lib/counter.js';
import Gauge from 'prom-client/lib/gauge.js';
import type Registry from 'prom-client/lib/registry.js';

export interface WorkSeriesOptions {
  /** Begins the names of the metrics. */
  readonly name: string;
  /** What each piece of work has a name under. */
  readonly label: string;
  /** In words, for the help texts. */
  readonly subject: string;
  /** Upper bounds in seconds, ascending. */
  readonly buckets: readonly number[];
}

/** One name's figures. */
export class WorkSeries {
  inFlight = 0;
  sumSeconds = 0;
  count = 0;
  /** Per bucket alone, not cumulated. */
  readonly counts: number[];
  readonly results = new Map<string, number>();
  readonly #buckets: readonly number[];

  constructor(buckets: readonly number[]) {
    this.#buckets = buckets;
    this.counts = buckets.map(() => 0);
  }

  end(seconds: number, result: string): void {
    this.inFlight -= 1;
    this.sumSeconds += seconds;
    this.count += 1;
    const buckets = this.#buckets;
    for (let at = 0; at < buckets.length; at += 1) {
      if (seconds <= buckets[at]!) {
        this.counts[at]! += 1;
        break;
      }
    }
    this.results.set(result, (this.results.get(result) ?? 0) + 1);
  }
}

/** Registers the metrics that are read from `series`: see `Metrics.work`. */
export function registerWork(
  registry: Registry,
  { name, label, subject, buckets }: WorkSeriesOptions,
  series: ReadonlyMap<string, WorkSeries>,
): void {
  const registers = [registry];
  registry.registerMetric(durationsOf(`${name}_duration_seconds`, `Time that ${subject} took.`));
  new Counter({
    name: `${name}_results_total`,
    help: `How ${subject} ended.`,
    labelNames: [label, 'result'],
    registers,
    collect() {
      this.reset();
      for (const [work, { results }] of series)
        for (const [result, count] of results) this.inc({ [label]: work, result }, count);
    },
  });
  new Gauge({
    name: `${name}_in_flight`,
    help: `Number of ${subject} that have begun and not ended.`,
    labelNames: [label],
    registers,
    collect() {
      for (const [work, { inFlight }] of series) this.set({ [label]: work }, inFlight);
    },
  });

  /** What a registry asks of a metric. A Histogram of prom-client cannot be given counts. */
  function durationsOf(metric: string, help: string): Parameters<Registry['registerMetric']>[0] {
    const values = () =>
      [...series]
        .filter(([, { count }]) => count > 0)
        .flatMap(([work, figures]) => lines(metric, { [label]: work }, figures));
    const get = async () => ({ name: metric, help, type: 'histogram', aggregator: 'sum', values: values() });
    return { name: metric, labelNames: [label], get } as never;
  }

  function lines(metric: string, labels: Record<string, string>, { counts, count, sumSeconds }: WorkSeries) {
    let below = 0;
    return [
      ...counts.map((alone, at) => {
        below += alone;
        return { metricName: `${metric}_bucket`, labels: { le: buckets[at]!, ...labels }, value: below };
      }),
      { metricName: `${metric}_bucket`, labels: { le: '+Inf', ...labels }, value: count },
      { metricName: `${metric}_sum`, labels, value: sumSeconds },
      { metricName: `${metric}_count`, labels, value: count },
    ];
  }
}
