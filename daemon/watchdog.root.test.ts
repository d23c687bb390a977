/** The daemon under a service manager, played by a program that receives what it says. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { listMounts, unmountAll } from '#host/mount.ts';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
let dir: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'berthd-'));
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  for (const { mountPoint } of listMounts()) if (mountPoint.startsWith(`${dir}/`)) unmountAll(mountPoint);
  rmSync(dir, { recursive: true, force: true });
});

function start(file: string, args: string[], env: Record<string, string> = {}): ChildProcess {
  const child = spawn(process.execPath, [file, ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, ...env },
  });
  children.push(child);
  return child;
}

/** What was received so far. Resolves when the socket is there. */
async function receive(socket: string): Promise<string[]> {
  const told: string[] = [];
  const receiver = start(here('testing/notify-receiver.ts'), [socket]);
  createInterface(receiver.stdout!).on('line', (line) =>
    told.push(...(JSON.parse(line) as string).split('\n')),
  );
  await expect.poll(() => told).toContain('bound');
  return told;
}

test('tells the service manager of its start, life, reload and end, and starves the watchdog when it hangs', async () => {
  const socket = join(dir, 'notify');
  const told = await receive(socket);
  const config = join(dir, 'config.toml');
  const tables = {
    daemon: { root_dir: `${dir}/lib`, state_dir: `${dir}/run`, shutdown_grace_ms: 500 },
    server: { socket: `${dir}/berth.sock` },
    metrics: { address: '' },
    nri: { socket_path: `${dir}/nri.sock` },
    network: {
      cni_config_dir: `${dir}/net.d`,
      cni_cache_dir: `${dir}/cni`,
      netns_dir: `${dir}/netns`,
      default_network: false,
    },
  };
  const lines = Object.entries(tables).flatMap(([table, keys]) => [
    `[${table}]`,
    ...Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}`),
  ]);
  writeFileSync(config, lines.join('\n'));
  const periodMs = 600;
  const daemon = start(here('main.ts'), ['--config', config], {
    NOTIFY_SOCKET: socket,
    WATCHDOG_USEC: String(periodMs * 1000),
  });
  const count = (line: string) => told.filter((entry) => entry === line).length;
  await expect.poll(() => count('READY=1'), { timeout: 20_000 }).toBe(1);
  await expect.poll(() => count('WATCHDOG=1')).toBeGreaterThan(1);

  daemon.kill('SIGHUP');
  await expect.poll(() => count('READY=1')).toBe(2);
  expect(count('RELOADING=1')).toBe(1);

  daemon.kill('SIGSTOP');
  // What was on its way arrives; then, for longer than the manager would wait, there is nothing.
  await delay(100);
  const fed = count('WATCHDOG=1');
  await delay(2 * periodMs);
  expect(count('WATCHDOG=1')).toBe(fed);
  daemon.kill('SIGCONT');
  await expect.poll(() => count('WATCHDOG=1')).toBeGreaterThan(fed);

  // Whoever takes the socket away takes the clients away: the daemon sees that it is not served any more.
  rmSync(join(dir, 'berth.sock'));
  await delay(periodMs);
  const last = count('WATCHDOG=1');
  await delay(2 * periodMs);
  expect(count('WATCHDOG=1')).toBe(last);

  daemon.kill('SIGTERM');
  await once(daemon, 'exit');
  expect(count('STOPPING=1')).toBe(1);
});
