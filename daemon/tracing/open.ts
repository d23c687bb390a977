/** Tracing as configured; loaded only then. */
import { hostname } from 'node:os';
import type { Log } from '#base/log.ts';
import type { SpanWatcher } from '#base/span.ts';
import { version } from '../version.ts';
import { SpanExporter } from './exporter.ts';
import { tracingWatcher } from './tracer.ts';

export interface Tracing {
  readonly watcher: SpanWatcher;
  /** Sends what waits, for two seconds at most. */
  close(): Promise<void>;
}

export function openTracing(options: {
  readonly endpoint: string;
  readonly samplingRatio: number;
  readonly log: Log;
  readonly onOutcome: (result: 'sent' | 'dropped', count: number) => void;
}): Tracing {
  const { endpoint, samplingRatio, log, onOutcome } = options;
  const resource = { version: version(), hostName: hostname() };
  const exporter = new SpanExporter({ endpoint, resource, log, onOutcome });
  log.info({ endpoint: new URL(endpoint).origin, samplingRatio }, 'calls are traced');
  return {
    watcher: tracingWatcher({ samplingRatio, onEnd: (span) => exporter.add(span) }),
    close: () => exporter.close(2000),
  };
}
