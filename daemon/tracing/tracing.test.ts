import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RuntimeError } from '#base/errors.ts';
import { span, watchSpans } from '#base/span.ts';
import { step } from '#base/step.ts';
import { SpanExporter } from './exporter.ts';
import type { EndedSpan } from './otlp.ts';
import { type Collector, startCollector } from './testing/collector.ts';
import { parseTraceparent } from './traceparent.ts';
import { tracingWatcher } from './tracer.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';
const log = { info() {}, warn() {}, error() {}, debug() {} } as never;
const outcomes: Record<string, number> = {};

afterEach(() => watchSpans());

describe('traceparent', () => {
  it('is read as the specification says', () => {
    expect(parseTraceparent(`00-${traceId}-${spanId}-01`)).toEqual({ traceId, spanId, isSampled: true });
    expect(parseTraceparent(`00-${traceId}-${spanId}-00`)?.isSampled).toBe(false);
    expect(parseTraceparent(`cc-${traceId}-${spanId}-03-what-comes`)?.isSampled).toBe(true);
    for (const text of [
      '',
      `00-${traceId}-${spanId}`,
      `00-${traceId}-${spanId}-01-more`,
      `ff-${traceId}-${spanId}-01`,
      `00-${'0'.repeat(32)}-${spanId}-01`,
      `00-${traceId}-${'0'.repeat(16)}-01`,
      `00-${traceId.toUpperCase()}-${spanId}-01`,
    ])
      expect(parseTraceparent(text), text).toBeUndefined();
  });
});

describe('spans', () => {
  let ended: EndedSpan[];
  const watch = (samplingRatio: number, random = () => 0.5) => {
    ended = [];
    watchSpans(tracingWatcher({ samplingRatio, random, onEnd: (one) => ended.push(one) }));
  };
  const byName = (name: string): EndedSpan => ended.find((one) => one.name === name)!;

  it('stand inside one another, also side by side and across awaits, below the caller of the call', async () => {
    watch(0);
    const work = async () => {
      await step('run-sandbox/attach-network', () => span('cni', 'ADD', () => 1, { plugin: 'bridge' }));
      await Promise.all([
        span('oci-runtime', 'start', () => 1, { handler: 'crun' }),
        step('run-sandbox/make-files', () => 1),
      ]);
    };
    await span('rpc', 'RunPodSandbox', work, {
      traceparent: `00-${traceId}-${spanId}-01`,
      pod_sandbox_id: 'p',
    });
    expect(ended.map(({ name }) => name)).toEqual([
      'CNI ADD bridge',
      'run-sandbox/attach-network',
      'crun start',
      'run-sandbox/make-files',
      'RunPodSandbox',
    ]);
    const root = byName('RunPodSandbox');
    expect(root).toMatchObject({ traceId, parentSpanId: spanId, kind: 'server', error: undefined });
    expect(root.attributes).toEqual({
      'rpc.system': 'grpc',
      'rpc.method': 'RunPodSandbox',
      pod_sandbox_id: 'p',
    });
    const attach = byName('run-sandbox/attach-network');
    expect(attach.parentSpanId).toBe(root.spanId);
    expect(byName('CNI ADD bridge').parentSpanId).toBe(attach.spanId);
    expect(byName('crun start').parentSpanId).toBe(root.spanId);
    expect(new Set(ended.map((one) => one.traceId))).toEqual(new Set([traceId]));
    for (const { startNs, endNs } of ended) expect(endNs).toBeGreaterThanOrEqual(startNs);
  });

  it('follow what the caller decided, else the ratio; what no call asked for is not traced', async () => {
    watch(1);
    await span('rpc', 'Status', () => 1, { traceparent: `00-${traceId}-${spanId}-00` });
    await step('run-sandbox/record', () => 1);
    expect(ended).toEqual([]);
    await span('rpc', 'Status', () => 1, { traceparent: 'nonsense' });
    expect(ended).toHaveLength(1);
    expect(ended[0]!.parentSpanId).toBe('');
    watch(0.4);
    await span('rpc', 'Status', () => step('run-sandbox/record', () => 1));
    expect(ended).toEqual([]);
    watch(0.6);
    await span('rpc', 'Status', () => step('run-sandbox/record', () => 1));
    expect(ended.map(({ name }) => name)).toEqual(['run-sandbox/record', 'Status']);
  });

  it('end with the call: what it leaves behind is not part of it', async () => {
    watch(1);
    let release = (): void => {};
    let late: Promise<unknown> = Promise.resolve();
    await span('rpc', 'CreateContainer', () => {
      const exit = new Promise<void>((resolve) => {
        release = resolve;
      });
      late = exit.then(() => step('stop-container/record-exit', () => 1));
    });
    release();
    await late;
    expect(ended.map(({ name }) => name)).toEqual(['CreateContainer']);
  });

  it('say how they failed', async () => {
    watch(1);
    const failing = span('rpc', 'StopContainer', () => {
      throw new RuntimeError('NotFound', 'container x does not exist');
    });
    await expect(failing).rejects.toThrow('does not exist');
    expect(ended[0]).toMatchObject({
      error: 'container x does not exist',
      attributes: { 'error.type': 'NotFound' },
    });
  });
});

describe('the exporter', () => {
  let collector: Collector;
  let exporter: SpanExporter;
  const open = (endpoint: string): SpanExporter =>
    new SpanExporter({
      endpoint,
      resource: { version: '1.2.3', hostName: 'node-1' },
      log,
      onOutcome: (result, count) => {
        outcomes[result] = (outcomes[result] ?? 0) + count;
      },
      delayMs: 5,
    });
  const someSpan = (name: string): EndedSpan => ({
    traceId,
    spanId,
    parentSpanId: '',
    name,
    kind: 'server',
    startNs: 1_700_000_000_000_000_001n,
    endNs: 1_700_000_000_000_000_002n,
    attributes: { text: 'x', number: 12, share: 0.5 },
    error: name === 'bad' ? 'no' : undefined,
  });

  beforeEach(async () => {
    collector = await startCollector();
    exporter = open(collector.endpoint);
    outcomes.sent = outcomes.dropped = 0;
  });
  afterEach(async () => {
    await exporter.close(100);
    await collector.close();
  });

  it('sends OTLP in JSON', async () => {
    exporter.add(someSpan('good'));
    exporter.add(someSpan('bad'));
    await expect.poll(() => collector.spans.length).toBe(2);
    expect(collector.requests).toEqual([{ path: '/v1/traces', type: 'application/json', count: 2 }]);
    expect(collector.resource).toMatchObject({ 'service.name': 'berthd', 'service.version': '1.2.3' });
    const [good, bad] = collector.spans;
    expect(good).toEqual({
      traceId,
      spanId,
      name: 'good',
      kind: 2,
      startTimeUnixNano: '1700000000000000001',
      endTimeUnixNano: '1700000000000000002',
      attributes: [
        { key: 'text', value: { stringValue: 'x' } },
        { key: 'number', value: { intValue: '12' } },
        { key: 'share', value: { doubleValue: 0.5 } },
      ],
    });
    expect(bad!.status).toEqual({ code: 2, message: 'no' });
    expect(outcomes).toEqual({ sent: 2, dropped: 0 });
  });

  it('keeps spans while the collector is away, and drops those that it refuses', async () => {
    collector.status = 503;
    exporter.add(someSpan('kept'));
    await expect.poll(() => collector.requests.length).toBeGreaterThan(1);
    collector.status = 200;
    await expect.poll(() => collector.spans.map(({ name }) => name)).toEqual(['kept']);
    collector.status = 400;
    exporter.add(someSpan('refused'));
    await expect.poll(() => outcomes).toEqual({ sent: 1, dropped: 1 });
  });

  it('holds no more than a queue of spans when nobody answers, and ends in time', async () => {
    await collector.close();
    for (let count = 0; count < 6000; count += 1) exporter.add(someSpan('lost'));
    expect(outcomes.dropped).toBeGreaterThan(1000);
    const startedMs = performance.now();
    await exporter.close(1000);
    expect(performance.now() - startedMs).toBeLessThan(5000);
    expect(outcomes).toEqual({ sent: 0, dropped: 6000 });
    collector = await startCollector();
  });

  it('sends what waits when it is closed', async () => {
    exporter.add(someSpan('last'));
    await exporter.close(5000);
    expect(collector.spans.map(({ name }) => name)).toEqual(['last']);
  });
});
