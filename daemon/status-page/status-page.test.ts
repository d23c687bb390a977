import { request } from 'node:http';
import { hostname } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { Metrics } from '#base/metrics.ts';
import { type MetricsServer, serveMetrics } from '../metrics-server.ts';
import { SlowSpans } from '../slow-spans.ts';
import { formatBytes, formatSpan } from './page.ts';
import { hostile, sampleNode, secret } from './testing/sample-node.ts';

let server: MetricsServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function get(path: string, method = 'GET', node = sampleNode()): Promise<Response> {
  server ??= await serveMetrics({ address: '127.0.0.1:0', metrics: new Metrics(), ...node });
  return fetch(`http://${server.address}${path}`, { method });
}

describe('the status page', () => {
  it('shows pods, containers, images, pulls, disk and slow steps, at / and /status', async () => {
    for (const path of ['/', '/status', '/status?x=1']) {
      const reply = await get(path);
      expect(reply.status).toBe(200);
      expect(reply.headers.get('content-type')).toBe('text/html; charset=utf-8');
      const html = await reply.text();
      for (const text of [
        'web-1',
        'shop',
        '10.88.0.7',
        'nginx:1.27',
        'OOMKilled (137)',
        'start 4',
        'quay.io/big/model:latest',
        '<progress value="268435456" max="1073741824">',
        '256 MiB of 1.0 GiB',
        'run-sandbox/attach-network',
        '2.34 s',
        '68.7 MiB',
        '6 layers take 181 MiB',
        '<meter',
      ])
        expect(html).toContain(text);
    }
  });

  it('shows nothing secret, in no form', async () => {
    for (const path of ['/status', '/status.json', '/metrics']) {
      const text = await (await get(path)).text();
      expect(text).not.toContain(secret);
      expect(text).not.toContain('PASSWORD');
    }
  });

  it('takes names for text, and nothing from elsewhere', async () => {
    const reply = await get('/status');
    const html = await reply.text();
    expect(html).not.toContain(hostile);
    expect(html).toContain('&lt;img src=x onerror=&quot;document.title=&#39;taken&#39;&quot;&gt;');
    const policy = reply.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(reply.headers.get('x-content-type-options')).toBe('nosniff');
    expect(html).not.toMatch(/ style=| on\w+=["']|<style|<script>|https?:\/\//);
    for (const [path, type] of [
      ['/status.css', 'text/css'],
      ['/status.js', 'text/javascript'],
    ] as const) {
      const part = await get(path);
      expect(part.headers.get('content-type')).toContain(type);
      expect(await part.text()).not.toMatch(/https?:\/\/|@import/);
    }
  });

  it('is data as JSON', async () => {
    const status = (await (await get('/status.json')).json()) as { pods: { containers: unknown[] }[] };
    expect(status.pods.map(({ containers }) => containers.length).toSorted()).toEqual([0, 2]);
  });

  it('shows an empty node, and one that is not ready', async () => {
    const node = sampleNode({
      listSandboxes: () => [],
      listContainers: () => [],
      listImages: () => [],
      listPulls: () => [],
      isReady: () => false,
      networkStatus: async () => ({ isReady: false, reason: 'x', message: 'no <valid> configuration' }),
    });
    const html = await (await get('/status', 'GET', { ...node, slow: new SlowSpans() })).text();
    for (const text of ['There are no pods', 'Nothing is being pulled', 'Nothing took long', 'recovering'])
      expect(html).toContain(text);
    expect(html).toContain('no &lt;valid&gt; configuration');
    expect((await get('/healthz')).status).toBe(503);
  });

  it("is shown to nobody who asks by a name that is not the node's, as a rebound one; metrics are", async () => {
    await get('/status');
    const ask = (path: string, host: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const url = `http://${server!.address}${path}`;
        request(url, { headers: { host } }, (reply) => resolve(reply.resume().statusCode))
          .once('error', reject)
          .end();
      });
    for (const path of ['/', '/status', '/status.json?x'])
      for (const host of ['evil.example:9095', '127.0.0.1.evil.example', 'localhost.evil.example', '[::1'])
        expect([path, host, await ask(path, host)]).toEqual([path, host, 403]);
    for (const host of ['127.0.0.1:9095', '[::1]:9095', 'localhost', 'LOCALHOST.:1', '192.0.2.7', hostname()])
      expect([host, await ask('/status', host)]).toEqual([host, 200]);
    for (const path of ['/metrics', '/healthz']) expect(await ask(path, 'node-7.monitoring.svc')).toBe(200);
  });

  it('changes nothing and knows no other path', async () => {
    expect((await get('/status', 'POST')).status).toBe(405);
    expect((await get('/status', 'HEAD')).status).toBe(200);
    expect((await get('/status/../../etc/passwd')).status).toBe(404);
    expect((await get('/status.ts')).status).toBe(404);
  });
});

it('sizes and times are short', () => {
  expect([0, 1023, 1024, 157_286_400, 5e12].map(formatBytes)).toEqual([
    '0 B',
    '1023 B',
    '1.0 KiB',
    '150 MiB',
    '4.5 TiB',
  ]);
  expect([0, 59_000, 3_725_000, 90_000_000].map(formatSpan)).toEqual(['0s', '59s', '1h 2m', '1d 1h']);
});
