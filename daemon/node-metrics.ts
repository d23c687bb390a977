/** All metrics of the daemon, registered in one place: docs/metrics.md, dashboards and alerts are checked against it. */
import { type StatsFs, statfsSync } from 'node:fs';
import type { Metrics, WorkMetrics } from '#base/metrics.ts';
import { type Span, type SpanWatcher, spanTitle } from '#base/span.ts';
import { processStarts } from '#host/launch.ts';
import { recordWriteFailures } from '#state/record-table.ts';
import type { NodeInsight } from './insight.ts';
import type { SlowSpans } from './slow-spans.ts';
import { version } from './version.ts';

/** Steps are many: a few buckets each. From a record's write to a slow plugin. */
const stepBuckets = [0.005, 0.025, 0.1, 0.5, 2.5, 10, 60];

/** What others count on. */
export interface CallMetrics {
  readonly rpcs: WorkMetrics;
  readonly pulls: WorkMetrics;
}

/** Calls and pulls: registered first, because the parts are built with them. */
export function callMetrics(metrics: Metrics): CallMetrics {
  return {
    rpcs: metrics.work('berth_rpc', 'rpc', 'calls of the CRI and the admin service'),
    pulls: metrics.work('berth_image_pull', 'registry', 'pulls of images'),
  };
}

/** Where the daemon tells what only it knows. */
export interface DaemonEvents {
  recovered(durationMs: number): void;
  reloaded(result: 'ok' | 'refused'): void;
  /** Spans that were sent to the collector, or given up. */
  traced(result: 'sent' | 'dropped', count: number): void;
}

/** Registers everything else, and returns where the daemon's own events go. */
export function nodeMetrics(metrics: Metrics, insight: NodeInsight): DaemonEvents {
  objectMetrics(metrics, insight);
  imageMetrics(metrics, insight);
  diskMetrics(metrics, insight);
  metrics.watchTotal('berth_process_starts_total', 'Processes that the daemon started.', processStarts);
  metrics.watchTotal(
    'berth_record_write_failures_total',
    'Writes of records to the state database that failed.',
    recordWriteFailures,
  );
  metrics.watch('berth_ready', '1 when the daemon serves all calls, 0 while it recovers.', () =>
    Number(insight.isReady()),
  );
  metrics.watchEach('berth_build_info', 'Always 1; the labels say what runs.', ['version', 'node'], () => [
    [{ version: version(), node: process.versions.node }, 1],
  ]);
  let recoverySeconds = 0;
  metrics.watch(
    'berth_recovery_seconds',
    'Time that the last start took to bring records and machine together.',
    () => recoverySeconds,
  );
  const reloads = metrics.counterBy('berth_config_reloads_total', 'Configurations read again on SIGHUP.', [
    'result',
  ]);
  const spans = metrics.counterBy(
    'berth_trace_spans_total',
    'Spans sent to the trace collector, or dropped.',
    ['result'],
  );
  return {
    recovered: (durationMs) => {
      recoverySeconds = durationMs / 1000;
    },
    reloaded: (result) => reloads({ result }),
    traced: (result, count) => spans({ result }, count),
  };
}

/** Registers the durations of steps, CNI plugins and OCI runtimes, and returns what watches for them. */
export function spanMetrics(metrics: Metrics, slow: SlowSpans): SpanWatcher {
  const stepSeconds = metrics.durations(
    'berth_step_duration_seconds',
    'Time that steps of operations took.',
    ['step'],
    stepBuckets,
  );
  const stepFailures = metrics.counterBy('berth_step_failures_total', 'Steps that failed.', ['step']);
  const cniSeconds = metrics.durations('berth_cni_duration_seconds', 'Time that runs of CNI plugins took.', [
    'plugin',
    'command',
  ]);
  const cniFailures = metrics.counterBy('berth_cni_failures_total', 'Runs of CNI plugins that failed.', [
    'plugin',
    'command',
  ]);
  const ociSeconds = metrics.durations(
    'berth_oci_runtime_duration_seconds',
    'Time that runs of the OCI runtime took; create and exec are the steps create-container/run-monitor and exec-sync/run.',
    ['handler', 'command'],
  );
  const ociFailures = metrics.counterBy(
    'berth_oci_runtime_failures_total',
    'Runs of the OCI runtime that failed.',
    ['handler', 'command'],
  );
  const note = (span: Span, durationMs: number, hasFailed: boolean): void => {
    const { kind, name, attributes } = span;
    slow.note({ kind, name: spanTitle(span), durationMs, endedAtMs: Date.now(), hasFailed });
    if (kind === 'step') {
      stepSeconds({ step: name }, durationMs);
      if (hasFailed) stepFailures({ step: name });
    } else if (kind === 'cni') {
      const labels = { plugin: String(attributes.plugin), command: name };
      cniSeconds(labels, durationMs);
      if (hasFailed) cniFailures(labels);
    } else {
      const labels = { handler: String(attributes.handler), command: name };
      ociSeconds(labels, durationMs);
      if (hasFailed) ociFailures(labels);
    }
  };
  const watch: SpanWatcher = async (span, work) => {
    const startedMs = performance.now();
    let hasFailed = true;
    try {
      const result = await work();
      hasFailed = false;
      return result;
    } finally {
      note(span, performance.now() - startedMs, hasFailed);
    }
  };
  // Calls have metrics of their own, and events are streamed for days.
  return Object.assign(watch, { ignored: ['rpc'] as const });
}

function countBy(states: Iterable<string>, known: readonly string[]): Map<string, number> {
  // States that nothing is in are shown as 0: an alert can tell "none" from "no daemon".
  const counts = new Map(known.map((state) => [state, 0]));
  for (const state of states) counts.set(state, (counts.get(state) ?? 0) + 1);
  return counts;
}

function objectMetrics(metrics: Metrics, insight: NodeInsight): void {
  metrics.watchBy('berth_sandboxes', 'Sandboxes by state.', 'state', () =>
    countBy(
      insight.listSandboxes().map(({ state }) => state),
      ['ready', 'notReady', 'unknown'],
    ),
  );
  metrics.watchBy('berth_containers', 'Containers by state.', 'state', () =>
    countBy(
      insight.listContainers().map(({ state }) => state),
      ['created', 'running', 'exited', 'unknown'],
    ),
  );
  const exits = metrics.counterBy('berth_container_exits_total', 'Containers that ended, by reason.', [
    'reason',
  ]);
  insight.lifecycle.subscribe(({ type, subjectId }) => {
    if (type !== 'stopped') return;
    const container = insight.findContainer(subjectId);
    if (container?.state === 'exited') exits({ reason: container.reason });
  });
  metrics.watch('berth_streaming_sessions', 'Execs, attaches and port forwards that clients have open.', () =>
    insight.streamingSessions(),
  );
}

function imageMetrics(metrics: Metrics, insight: NodeInsight): void {
  metrics.watch('berth_images', 'Images in the store.', () => insight.listImages().length);
  metrics.watch(
    'berth_image_bytes',
    'Sum of the sizes of the images in the store, as compressed; what they share is counted for each.',
    () => insight.listImages().reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  );
  metrics.watch('berth_layers', 'Unpacked layers.', () => insight.snapshots().layers);
  metrics.watch(
    'berth_layer_bytes',
    'Bytes of the unpacked layers on disk.',
    () => insight.snapshots().layerBytes,
  );
  metrics.watch(
    'berth_snapshots',
    'Writable snapshots of containers, and views of images that are volumes.',
    () => insight.snapshots().active,
  );
  metrics.watchTotal(
    'berth_image_pull_received_bytes_total',
    'Bytes of layers received from registries.',
    () => insight.pulledBytes(),
  );
  const eachLayer = (read: (layer: { receivedBytes: number; sizeBytes: number }) => number) => () =>
    insight
      .listPulls()
      .flatMap(({ reference, layers }) =>
        layers.map((layer) => [{ image: reference, layer: layer.digest }, read(layer)] as const),
      );
  metrics.watchEach(
    'berth_image_pull_layer_received_bytes',
    'Bytes received of each layer of the pulls under way.',
    ['image', 'layer'],
    eachLayer(({ receivedBytes }) => receivedBytes),
  );
  metrics.watchEach(
    'berth_image_pull_layer_size_bytes',
    'Sizes of the layers of the pulls under way.',
    ['image', 'layer'],
    eachLayer(({ sizeBytes }) => sizeBytes),
  );
}

function diskMetrics(metrics: Metrics, { rootDir, stateDir }: NodeInsight): void {
  const eachFolder = (read: (figures: StatsFs) => number) => () =>
    [rootDir, stateDir].map((folder) => [folder, read(statfsSync(folder))] as const);
  metrics.watchBy(
    'berth_disk_free_bytes',
    "Bytes left on the file systems of the daemon's folders.",
    'folder',
    eachFolder(({ bavail, bsize }) => bavail * bsize),
  );
  metrics.watchBy(
    'berth_disk_size_bytes',
    "Size of the file systems of the daemon's folders.",
    'folder',
    eachFolder(({ blocks, bsize }) => blocks * bsize),
  );
  metrics.watchBy(
    'berth_disk_free_inodes',
    "Inodes left on the file systems of the daemon's folders.",
    'folder',
    eachFolder(({ ffree }) => ffree),
  );
}
