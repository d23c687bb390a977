/** The metrics that a daemon exports, found out by registering them: for the documentation and for what is checked against it. */
import { type MetricDescription, Metrics } from '#base/metrics.ts';
import type { NodeInsight } from './insight.ts';
import { callMetrics, nodeMetrics, spanMetrics } from './node-metrics.ts';
import { SlowSpans } from './slow-spans.ts';

/** A node with nothing on it. */
const emptyNode: NodeInsight = {
  rootDir: '/',
  stateDir: '/',
  lifecycle: { subscribe: () => () => {} },
  listSandboxes: () => [],
  listContainers: () => [],
  findContainer: () => undefined,
  listImages: () => [],
  listPulls: () => [],
  pulledBytes: () => 0,
  snapshots: () => ({ layers: 0, layerBytes: 0, active: 0 }),
  streamingSessions: () => 0,
  networkStatus: async () => ({ isReady: true, reason: '', message: '' }),
  isReady: () => true,
};

/** Every metric by name. */
export function metricsTable(): Promise<MetricDescription[]> {
  const metrics = new Metrics();
  callMetrics(metrics);
  nodeMetrics(metrics, emptyNode);
  spanMetrics(metrics, new SlowSpans());
  return metrics.describe();
}

/** The names that appear in the text format, with their labels: a histogram has three. */
export function exportedSeries(table: readonly MetricDescription[]): Map<string, readonly string[]> {
  return new Map(
    table.flatMap(({ name, type, labels }): [string, readonly string[]][] =>
      type === 'histogram'
        ? [
            [`${name}_bucket`, [...labels, 'le']],
            [`${name}_sum`, labels],
            [`${name}_count`, labels],
          ]
        : [[name, labels]],
    ),
  );
}
