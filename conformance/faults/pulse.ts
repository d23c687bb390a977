/**
 * Says of a daemon when its event loop, or the pool of threads behind it, did not go on: from when, how long, what the main thread
 * did meanwhile and in which function it was. Loaded before the daemon by preload.ts, which only tests load. A thread of its own
 * looks (pulse-worker.ts), since what stands still cannot tell.
 */
import { stat } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';

/** Each is a line of JSON in the file. Times are of the monotonic clock, ms, which all processes of a machine share. */
export interface Standstill {
  readonly what: 'event loop' | 'thread pool';
  readonly fromMs: number;
  readonly forMs: number;
  /** Processor time of the main thread meanwhile. */
  readonly cpuMs: number;
  /** How long the main thread could run meanwhile and was not let: the machine was busy with others. */
  readonly readyMs: number;
  /** What the machine's own host gave to others meanwhile, of all its processors. */
  readonly stolenMs: number;
  /** The state, wait channel and kernel stack of the main thread, each one once with how many of the looks met it. */
  readonly seen: Readonly<Record<string, number>>;
  /** Our functions that the main thread was in as it went on, innermost first; none if it went on elsewhere. */
  readonly places: readonly string[];
  /** Of the event loop since the start of the daemon. */
  readonly loopDelayMs: Readonly<Record<'p50' | 'p99' | 'max', number>>;
}

export interface PulseInput {
  readonly file: string;
  /** When the event loop and the pool last showed that they go on, ns of the monotonic clock. */
  readonly beats: BigInt64Array;
  /** Delay of the event loop: median, 99th percentile, maximum, ms. */
  readonly delays: Float64Array;
}

const beatMs = 50;

/** From now on every standstill of this process is written to `file`. */
export function keepPulse(file: string): void {
  const beats = new BigInt64Array(new SharedArrayBuffer(16));
  const delays = new Float64Array(new SharedArrayBuffer(24));
  const histogram = monitorEventLoopDelay({ resolution: beatMs });
  histogram.enable();
  const beat = (index: number) => Atomics.store(beats, index, process.hrtime.bigint());
  beat(0);
  beat(1);
  setInterval(() => {
    beat(0);
    delays.set([histogram.percentile(50), histogram.percentile(99), histogram.max].map((ns) => ns / 1e6));
  }, beatMs).unref();
  const askPool = () =>
    stat('/', () => {
      beat(1);
      setTimeout(askPool, beatMs).unref();
    });
  askPool();
  const workerData: PulseInput = { file, beats, delays };
  // Not with the flags of this process, by which the thread would load preload.ts in its turn.
  const worker = new Worker(new URL('pulse-worker.ts', import.meta.url), { workerData, execArgv: [] });
  worker.unref();
}
