/**
 * Figures about the daemon itself, in the form Prometheus reads. Counters are kept as the work is done; everything that
 * can be looked up is looked up when somebody asks, so that an unread metric costs nothing.
 */
import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay, PerformanceObserver, performance } from 'node:perf_hooks';
import Counter from 'prom-client/lib/counter.js';
import Gauge from 'prom-client/lib/gauge.js';
import Histogram from 'prom-client/lib/histogram.js';
import Registry from 'prom-client/lib/registry.js';
import { registerWork, WorkSeries } from './work-series.ts';

/** Watches one kind of work that begins and ends: RPCs, pulls. */
export interface WorkMetrics {
  /** Work `name` begins; call the returned function once, with its result, when it ends. */
  begin(name: string): (result: string) => void;
}

// From a list in memory (a millisecond) to a pull (minutes).
const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30, 120, 600];

/** Each name is some twenty series that are kept for good. */
const mostNames = 100;

export interface MetricDescription {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labels: readonly string[];
}

/** What prom-client has of each metric and does not declare. */
interface DescribableMetric {
  readonly labelNames: readonly string[];
  get(): Promise<{ name: string; help: string; type: string }>;
}

export class Metrics {
  readonly #registry = new Registry();
  #loopDelay: ReturnType<typeof monitorEventLoopDelay> | undefined;
  #lastUtilization = performance.eventLoopUtilization();

  constructor() {
    this.#addProcess();
    this.#addEventLoop();
    this.#addGarbageCollection();
  }

  /**
   * A histogram of durations `NAME_duration_seconds`, a counter `NAME_results_total` by result and a gauge
   * `NAME_in_flight`, each by the work's name under `label`. Names beyond the first hundred are counted as `other`: whoever
   * writes a pod can name any number of registries.
   */
  work(name: string, label: string, subject: string): WorkMetrics {
    const series = new Map<string, WorkSeries>();
    registerWork(this.#registry, { name, label, subject, buckets: durationBuckets }, series);
    const seriesOf = (workName: string): WorkSeries => {
      let found = series.get(workName);
      if (!found && series.size >= mostNames) found = series.get('other');
      if (!found) {
        found = new WorkSeries(durationBuckets);
        series.set(series.size < mostNames ? workName : 'other', found);
      }
      return found;
    };
    return {
      begin: (workName) => {
        const figures = seriesOf(workName);
        const startedMs = performance.now();
        figures.inFlight += 1;
        return (result) => figures.end((performance.now() - startedMs) / 1000, result);
      },
    };
  }

  /** A gauge whose value is looked up when it is read. */
  watch(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** A gauge by one label, all of whose values are looked up when it is read. */
  watchBy(name: string, help: string, label: string, read: () => Iterable<readonly [string, number]>): void {
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [value, count] of read()) this.set({ [label]: value }, count);
      },
    });
  }

  /** A total that somebody else counts, looked up when it is read. */
  watchTotal(name: string, help: string, read: () => number): void {
    new Counter({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }

  /** A counter by one label; call the returned function with the label's value. */
  counter(name: string, help: string, label: string): (value: string) => void {
    const counter = new Counter({ name, help, labelNames: [label], registers: [this.#registry] });
    return (value) => counter.inc({ [label]: value });
  }

  /** A histogram by labels; call the returned function with their values and a duration. */
  durations<L extends string>(
    name: string,
    help: string,
    labels: readonly L[],
    buckets: readonly number[] = durationBuckets,
  ): (values: Readonly<Record<L, string>>, durationMs: number) => void {
    const histogram = new Histogram({
      name,
      help,
      labelNames: [...labels],
      buckets: [...buckets],
      registers: [this.#registry],
    });
    return (values, durationMs) => histogram.observe(values as never, durationMs / 1000);
  }

  /** A counter by several labels; call the returned function with their values. */
  counterBy<L extends string>(
    name: string,
    help: string,
    labels: readonly L[],
  ): (values: Readonly<Record<L, string>>, count?: number) => void {
    const counter = new Counter({ name, help, labelNames: [...labels], registers: [this.#registry] });
    return (values, count = 1) => counter.inc(values as never, count);
  }

  /** A gauge by several labels, all of whose values are looked up when it is read. */
  watchEach<L extends string>(
    name: string,
    help: string,
    labels: readonly L[],
    read: () => Iterable<readonly [Readonly<Record<L, string>>, number]>,
  ): void {
    new Gauge({
      name,
      help,
      labelNames: [...labels],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [values, value] of read()) this.set(values as never, value);
      },
    });
  }

  /** What is registered, by name. Looks up every value on the way. */
  async describe(): Promise<MetricDescription[]> {
    const described = this.#registry.getMetricsAsArray().map(async (metric) => {
      const { name, help, type } = await (metric as unknown as DescribableMetric).get();
      return { name, help, type, labels: (metric as unknown as DescribableMetric).labelNames };
    });
    return (await Promise.all(described)).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Everything, in the text format of Prometheus. */
  async render(): Promise<string> {
    const text = await this.#registry.metrics();
    // A timer ten times a second, only for those who read it: from the second reading on there are figures.
    if (!this.#loopDelay) {
      this.#loopDelay = monitorEventLoopDelay({ resolution: 100 });
      this.#loopDelay.enable();
    }
    return text;
  }

  #addProcess(): void {
    const startedAt = Date.now() / 1000 - process.uptime();
    this.watch('process_start_time_seconds', 'Unix time at which the daemon started.', () => startedAt);
    this.watchTotal('process_cpu_seconds_total', 'CPU time that the daemon used.', () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    });
    this.watch('process_resident_memory_bytes', 'Resident memory of the daemon.', () =>
      process.memoryUsage.rss(),
    );
    this.watch(
      'process_open_fds',
      'Open file descriptors of the daemon.',
      () => readdirSync('/proc/self/fd').length - 1,
    );
    this.watchBy('berth_heap_bytes', 'Memory of the JavaScript heap.', 'kind', () => {
      const { heapTotal, heapUsed, external, arrayBuffers } = process.memoryUsage();
      return [
        ['total', heapTotal],
        ['used', heapUsed],
        ['external', external],
        ['array_buffers', arrayBuffers],
      ];
    });
  }

  #addEventLoop(): void {
    this.watch(
      'berth_event_loop_utilization',
      'Share of time since the last reading that the event loop was busy.',
      () => {
        const now = performance.eventLoopUtilization();
        const since = performance.eventLoopUtilization(now, this.#lastUtilization);
        this.#lastUtilization = now;
        return since.utilization;
      },
    );
    this.watchBy(
      'berth_event_loop_delay_seconds',
      'How late timers were since the last reading.',
      'quantile',
      () => {
        const delay = this.#loopDelay;
        if (!delay || delay.count === 0) return [];
        const at = (percentile: number): number => Math.max(0, delay.percentile(percentile) / 1e9 - 0.1);
        const values: [string, number][] = [
          ['0.5', at(50)],
          ['0.99', at(99)],
          ['1', at(100)],
        ];
        delay.reset();
        return values;
      },
    );
  }

  #addGarbageCollection(): void {
    // Numbers of perf_hooks.constants.NODE_PERFORMANCE_GC_*.
    const kinds: Readonly<Record<number, string>> = { 1: 'minor', 4: 'major', 8: 'incremental', 16: 'weak' };
    const seconds = new Counter({
      name: 'berth_gc_seconds_total',
      help: 'Time spent in garbage collection.',
      labelNames: ['kind'],
      registers: [this.#registry],
    });
    const observer = new PerformanceObserver((entries) => {
      for (const entry of entries.getEntries()) {
        const kind = (entry as unknown as { detail?: { kind?: number } }).detail?.kind ?? 0;
        seconds.inc({ kind: kinds[kind] ?? 'other' }, entry.duration / 1000);
      }
    });
    observer.observe({ entryTypes: ['gc'] });
  }
}
