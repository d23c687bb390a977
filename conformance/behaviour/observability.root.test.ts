/** What an operator sees of a live daemon: a trace down to the programs, figures that add up, the status page. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { exportedSeries, metricsTable } from '#daemon/metrics-table.ts';
import { type Collector, type ReceivedSpan, startCollector } from '#daemon/tracing/testing/collector.ts';
import { decode, encode } from '#proto/codec.ts';
import { RuntimeService } from '#proto/generated/cri.ts';
import { makeImage, makeLayer } from '../fixtures/image.ts';
import { pushImage } from '../fixtures/registry.ts';
import { BehaviourBed } from './bed.ts';

let bed: BehaviourBed;
let collector: Collector;
let pages: string;

beforeAll(async () => {
  collector = await startCollector();
  bed = await BehaviourBed.start({
    config: () => ({
      metrics: { address: '127.0.0.1:0' },
      tracing: { endpoint: collector.endpoint, sampling_ratio: 1 },
    }),
  });
  const address = /"metrics":"([^"]+)"/.exec(bed.logTail(1000))?.[1];
  pages = `http://${address}`;
});
afterAll(async () => {
  await bed?.close();
  await collector?.close();
});

const text = async (path: string): Promise<string> => (await fetch(`${pages}${path}`)).text();

/** The value of one series. */
async function figure(series: string): Promise<number> {
  const line = (await text('/metrics')).split('\n').find((candidate) => candidate.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1) ?? Number.NaN);
}

const childrenOf = (parent: ReceivedSpan): string[] =>
  collector.spans.filter(({ parentSpanId }) => parentSpanId === parent.spanId).map(({ name }) => name);

async function spanNamed(name: string): Promise<ReceivedSpan> {
  await expect.poll(() => collector.spans.map((span) => span.name), { timeout: 10_000 }).toContain(name);
  return collector.spans.findLast((span) => span.name === name)!;
}

/** RunPodSandbox as a kubelet that traces calls it. */
async function runPodTraced(
  traceparent: string,
): Promise<{ id: string; config: ReturnType<BehaviourBed['podConfig']> }> {
  const client = new Client(`unix://${bed.dir}/berth.sock`, credentials.createInsecure());
  const config = bed.podConfig();
  const metadata = new Metadata();
  metadata.set('traceparent', traceparent);
  const { path, requestType, responseType } = RuntimeService.RunPodSandbox;
  const asIs = (bytes: Buffer): Buffer => bytes;
  try {
    const bytes = await new Promise<Buffer>((resolve, reject) => {
      client.makeUnaryRequest(path, asIs, asIs, encode(requestType, { config }), metadata, (error, reply) =>
        error ? reject(error) : resolve(reply!),
      );
    });
    return { id: decode(responseType, bytes).pod_sandbox_id, config };
  } finally {
    client.close();
  }
}

interface Halfway {
  readonly host: string;
  /** Lets the second halves through. */
  release(): void;
  close(): void;
}

/** A registry that stops in the middle of each large blob until it is released. */
async function startHalfway(host: string): Promise<Halfway> {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const server = createServer(async ({ url = '/', method = 'GET', headers }, response) => {
    const accept = headers.accept === undefined ? {} : { accept: headers.accept };
    const reply = await fetch(`http://${host}${url}`, { method, headers: accept });
    const bytes = Buffer.from(await reply.arrayBuffer());
    response.writeHead(reply.status, Object.fromEntries(reply.headers));
    const middle = bytes.length >> 1;
    if (bytes.length > 1 << 20) {
      response.write(bytes.subarray(0, middle));
      await released;
      response.end(bytes.subarray(middle));
    } else response.end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    release,
    close: () => {
      release();
      server.close();
      server.closeAllConnections();
    },
  };
}

it("traces a pod's start below the kubelet's span, down to the plugin and the OCI runtime", async () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const { id, config } = await runPodTraced(`00-${traceId}-b7ad6b7169203331-01`);
  const pod = await spanNamed('RunPodSandbox');
  expect(pod).toMatchObject({ traceId, parentSpanId: 'b7ad6b7169203331', kind: 2 });
  expect(childrenOf(pod)).toEqual(
    expect.arrayContaining(['run-sandbox/pin-namespaces', 'run-sandbox/attach-network']),
  );
  const attach = await spanNamed('run-sandbox/attach-network');
  expect(childrenOf(attach)).toContain('CNI ADD bridge');

  const container = await bed.run({ id, config, logDir: config.log_directory ?? '' }, 'traced');
  const start = await spanNamed('StartContainer');
  expect(start.attributes).toContainEqual({ key: 'container_id', value: { stringValue: container } });
  const ociStart = await spanNamed('start-container/oci-start');
  expect(ociStart.parentSpanId).toBe(start.spanId);
  expect(childrenOf(ociStart)).toEqual(['crun start']);

  // The image was pulled while the bed started: a trace of our own, with its layers.
  const pull = await spanNamed('PullImage');
  expect(pull.parentSpanId).toBeUndefined();
  expect(childrenOf(pull)).toEqual(
    expect.arrayContaining(['pull-image/resolve', 'pull-image/unpack-layer', 'pull-image/record']),
  );
  const within = (inner: ReceivedSpan, outer: ReceivedSpan): boolean =>
    BigInt(inner.startTimeUnixNano) >= BigInt(outer.startTimeUnixNano) &&
    BigInt(inner.endTimeUnixNano) <= BigInt(outer.endTimeUnixNano) + 1_000_000n;
  expect(within(ociStart, start)).toBe(true);
  await bed.removePod({ id, config, logDir: '' });
});

it('does not trace what the kubelet chose not to', async () => {
  const { id, config } = await runPodTraced('00-11111111111111111111111111111111-b7ad6b7169203331-00');
  await bed.removePod({ id, config, logDir: '' });
  // Its removal, which came without a word, is traced: whatever came before has arrived then.
  await expect
    .poll(
      () =>
        collector.spans.filter(({ attributes }) => attributes.some(({ value }) => value.stringValue === id)),
      {
        timeout: 10_000,
      },
    )
    .toMatchObject([{ name: 'RemovePodSandbox' }]);
  expect(collector.spans.filter(({ traceId }) => traceId.startsWith('1111'))).toEqual([]);
});

it('counts what happens, under names that are documented', async () => {
  const before = await figure('berth_container_exits_total{reason="Error"}');
  const pod = await bed.runPod();
  const id = await bed.run(pod, 'fails', { command: ['sh', '-c', 'exit 3'] });
  await bed.ended(id);
  expect(await figure('berth_container_exits_total{reason="Error"}')).toBe((before || 0) + 1);
  expect(await figure('berth_containers{state="exited"}')).toBe(1);
  expect(await figure('berth_sandboxes{state="ready"}')).toBe(1);
  expect(await figure('berth_ready')).toBe(1);
  expect(await figure('berth_images')).toBe(1);
  expect(await figure('berth_image_bytes')).toBeGreaterThan(1000);
  expect(await figure('berth_image_pull_received_bytes_total')).toBeGreaterThan(1000);
  expect(await figure('berth_layers')).toBeGreaterThan(0);
  expect(await figure('berth_snapshots')).toBe(1);
  expect(await figure('berth_recovery_seconds')).toBeGreaterThan(0);
  expect(
    await figure('berth_step_duration_seconds_count{step="run-sandbox/attach-network"}'),
  ).toBeGreaterThan(0);
  expect(await figure('berth_cni_duration_seconds_count{plugin="bridge",command="ADD"}')).toBeGreaterThan(0);
  expect(
    await figure('berth_oci_runtime_duration_seconds_count{handler="crun",command="start"}'),
  ).toBeGreaterThan(0);
  expect(await figure(`berth_disk_free_bytes{folder="${bed.dir}/lib"}`)).toBeGreaterThan(0);
  expect(await figure('berth_trace_spans_total{result="sent"}')).toBeGreaterThan(0);
  const documented = exportedSeries(await metricsTable());
  for (const line of (await text('/metrics')).split('\n')) {
    const [, name, labels = ''] = /^([a-z_:]+)(?:\{([^}]*)\})? /.exec(line) ?? [];
    if (name === undefined) continue;
    expect(documented.has(name), name).toBe(true);
    for (const [, label] of labels.matchAll(/(\w+)="/g)) expect(documented.get(name)).toContain(label);
  }
  await bed.removePod(pod);
});

it('shows how far each layer of a pull has come', async () => {
  const host = /127\.0\.0\.1:\d+/.exec(readFileSync(`${bed.dir}/hosts/docker.io/hosts.toml`, 'utf8'))![0];
  const content = randomBytes(4 << 20);
  const layer = makeLayer([{ type: 'file', path: 'content', mode: 0o644, content }]);
  await pushImage(host, 'slow/content:1', makeImage({ layers: [layer], config: {} }));
  const half = await startHalfway(host);
  try {
    const image = `${half.host}/slow/content:1`;
    const before = await figure('berth_image_pull_received_bytes_total');
    const pull = bed.call('PullImage', { image: { image } });
    const series = `{image="${image}",layer="sha256:`;
    const layers = async (name: string): Promise<number[]> =>
      (await text('/metrics'))
        .split('\n')
        .filter((line) => line.startsWith(`${name}${series}`))
        .map((line) => Number(line.split(' ').at(-1)));
    await expect
      .poll(async () => (await layers('berth_image_pull_layer_received_bytes'))[0] ?? 0, { timeout: 10_000 })
      .toBeGreaterThan(1 << 20);
    const [size = 0] = await layers('berth_image_pull_layer_size_bytes');
    expect(size).toBeGreaterThan(4 << 20);
    expect((await layers('berth_image_pull_layer_received_bytes'))[0]).toBeLessThan(size);
    expect(await figure(`berth_image_pull_in_flight{registry="${half.host}"}`)).toBe(1);
    const html = await text('/status');
    expect(html).toContain(image);
    expect(html).toMatch(new RegExp(`<progress value="\\d{7}" max="${size}">`));
    half.release();
    await pull;
    expect(await layers('berth_image_pull_layer_size_bytes')).toEqual([]);
    expect(await figure('berth_image_pull_received_bytes_total')).toBe(before + size);
    expect(await figure(`berth_image_pull_results_total{registry="${half.host}",result="ok"}`)).toBe(1);
  } finally {
    half.close();
  }
});

it('shows pods and containers on the status page, and nothing of their environment', async () => {
  const pod = await bed.runPod();
  await bed.run(pod, 'shown', { envs: [{ key: 'PASSWORD', value: Buffer.from('hunter2-the-secret') }] });
  const html = await text('/status');
  for (const words of [pod.config.metadata?.name ?? '', bed.name, 'shown', 'running', 'busybox'])
    expect(html).toContain(words);
  expect(html + (await text('/status.json'))).not.toContain('hunter2');
  await bed.removePod(pod);
  expect(await text('/status')).toContain('There are no pods');
});
