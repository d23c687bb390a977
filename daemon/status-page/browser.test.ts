/**
 * The status page in a real browser: Debian's chromium, without a window. Skipped where it is not installed, for it is large;
 * `make status-page-e2e` installs it.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Metrics } from '#base/metrics.ts';
import { type MetricsServer, serveMetrics } from '../metrics-server.ts';
import { sampleNode } from './testing/sample-node.ts';

const browser = '/usr/bin/chromium';
let dir: string;
let server: MetricsServer;
let looks = 0;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'berth-browser-'));
  const node = sampleNode();
  const { listPulls } = node.insight;
  // Each look sees another image, so that a refresh can be told.
  const insight = {
    ...node.insight,
    listPulls: () => {
      looks += 1;
      return listPulls().map((pull) => ({ ...pull, reference: `registry.example/look-${looks}` }));
    },
  };
  server = await serveMetrics({ address: '127.0.0.1:0', metrics: new Metrics(), insight, slow: node.slow });
});
afterAll(async () => {
  await server.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Opens the page and gives its document and what the browser complained of. */
async function open(
  flags: readonly string[],
  address = server.address,
): Promise<{ dom: string; complaints: string[] }> {
  const child = spawn(
    browser,
    [
      '--headless=new',
      '--no-sandbox', // root has none
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--enable-logging=stderr',
      '--window-size=1280,1500',
      `--user-data-dir=${dir}/profile`,
      ...flags,
      `http://${address}/status`,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let dom = '';
  let log = '';
  child.stdout.on('data', (text) => {
    dom += text;
  });
  child.stderr.on('data', (text) => {
    log += text;
  });
  await new Promise((resolve) => child.on('close', resolve));
  return { dom, complaints: log.split('\n').filter((line) => line.includes('CONSOLE')) };
}

describe.skipIf(!existsSync(browser))('in a browser (skipped where chromium is not installed)', () => {
  it('shows everything, complains of nothing, and refreshes itself', { timeout: 120_000 }, async () => {
    const { dom, complaints } = await open(['--dump-dom', '--virtual-time-budget=12000']);
    expect(complaints).toEqual([]);
    expect(dom).toContain('web-1');
    expect(dom).toContain('OOMKilled (137)');
    // The pod whose name is a tag is text: the title is as we set it.
    expect(dom).toMatch(/<title>Berth on /);
    expect(dom).not.toContain('<img');
    const shown = Number(/look-(\d+)/.exec(dom)?.[1]);
    expect(shown).toBeGreaterThan(1);
  });

  it('is laid out by its style sheet', {
    timeout: 120_000,
  }, async () => {
    const picture = process.env.STATUS_PAGE_PICTURE ?? join(dir, 'page.png');
    const { complaints } = await open([`--screenshot=${picture}`, '--hide-scrollbars']);
    expect(complaints).toEqual([]);
    expect(readFileSync(picture).subarray(1, 4).toString()).toBe('PNG');
    const { size } = statSync(picture);
    // An empty page is a tenth of that.
    expect(size).toBeGreaterThan(40_000);
  });

  // Headless chromium is driven by scripts of its own, so ours is kept from it instead of turning all off.
  it('is whole without its script', { timeout: 120_000 }, async () => {
    const without = createServer(async ({ url = '/' }, response) => {
      const reply = await fetch(`http://${server.address}${url}`);
      const text = await reply.text();
      const headers = Object.fromEntries(reply.headers);
      delete headers['transfer-encoding'];
      response.writeHead(url === '/status.js' ? 404 : 200, headers).end(url === '/status.js' ? '' : text);
    });
    await new Promise<void>((resolve) => without.listen(0, '127.0.0.1', resolve));
    try {
      const before = looks;
      const { port } = without.address() as AddressInfo;
      const { dom } = await open(['--dump-dom', '--virtual-time-budget=12000'], `127.0.0.1:${port}`);
      expect(dom).toContain('web-1');
      expect(dom).toContain(`look-${before + 1}`);
      expect(looks).toBe(before + 1);
    } finally {
      without.close();
      without.closeAllConnections();
    }
  });
});
