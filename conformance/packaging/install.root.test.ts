/**
 * Berth installed as an operator would, and taken away with a container running: the container must not notice, and a new
 * installation must know it. With a prefix of its own, so that nothing of this machine is touched.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BehaviourBed } from '../behaviour/bed.ts';
import { imageNames } from '../behaviour/images.ts';
import { projectRoot } from '../cache.ts';
import { findFreePort } from '../kubelet/machine.ts';

let bed: BehaviourBed;
let prefix: string;
let daemon: ChildProcess | undefined;

beforeAll(async () => {
  bed = await BehaviourBed.start();
  prefix = mkdtempSync(join(tmpdir(), 'berth-prefix-'));
}, 60_000);

afterAll(async () => {
  if (daemon && daemon.exitCode === null && daemon.signalCode === null) {
    daemon.kill('SIGKILL');
    await once(daemon, 'exit');
  }
  await bed.startDaemon();
  await bed.close();
  rmSync(prefix, { recursive: true, force: true });
}, 60_000);

/** With a destination folder, so that the machine's /etc and units stay as they are. */
function installer(...args: string[]) {
  return spawnSync(
    process.execPath,
    [join(projectRoot, 'packaging/install.ts'), '--prefix', '/opt/berth', '--destdir', prefix, ...args],
    { encoding: 'utf8' },
  );
}

async function startInstalled(...flags: string[]): Promise<ChildProcess> {
  const program = join(prefix, 'opt/berth/bin/berthd');
  const started = spawn(program, ['--config', join(bed.dir, 'config.toml'), ...flags], {
    stdio: 'ignore',
    env: { ...process.env, NODE_COMPILE_CACHE: '' },
  });
  await bed.connect(() => started.exitCode === null);
  return started;
}

test('a running container outlives uninstalling, and the next installation takes it up', async () => {
  const installed = installer();
  expect(installed.status, installed.stderr).toBe(0);
  const bin = join(prefix, 'opt/berth/bin');
  expect(readdirSync(bin).sort()).toEqual(['berth', 'berth-audit', 'berthd']);
  expect(execFileSync(join(bin, 'berthd'), ['--version'], { encoding: 'utf8' })).toMatch(/^berthd \d/);
  expect(readFileSync(join(prefix, 'opt/berth/lib/systemd/system/berthd.service'), 'utf8')).toContain(
    'ExecStart=/opt/berth/lib/berth/bin/berthd',
  );

  await bed.endDaemon('SIGTERM');
  daemon = await startInstalled();
  // By its own layer process, which is another program of the bundle.
  const image = { image: imageNames.busybox };
  await bed.call('RemoveImage', { image });
  await bed.call('PullImage', { image });
  const pod = await bed.runPod();
  const id = await bed.run(pod, 'main');
  const { pid } = await bed.info(id);
  const berth = (...words: string[]) =>
    execFileSync(join(bin, 'berth'), ['--address', `unix://${join(bed.dir, 'berth.sock')}`, ...words], {
      encoding: 'utf8',
    });
  expect(berth('version')).toMatch(/^berthd +\d/m);
  expect(berth('ps', '--all')).toContain(id.slice(0, 12));
  expect(execFileSync(join(bin, 'berth-audit'), ['--help'], { encoding: 'utf8' })).toContain('Usage');

  const refused = installer('--uninstall');
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain(`process ${daemon.pid} runs from here`);
  expect(existsSync(join(bin, 'berthd'))).toBe(true);

  daemon.kill('SIGTERM');
  await once(daemon, 'exit');
  writeFileSync(join(prefix, 'etc/berth/config.toml'), '# mine\n');
  const removed = installer('--uninstall');
  expect(removed.status, removed.stderr).toBe(0);
  expect(existsSync(join(prefix, 'opt/berth/lib/berth'))).toBe(false);
  expect(existsSync(bin) ? readdirSync(bin) : []).toEqual([]);
  expect(existsSync(`/proc/${pid}`)).toBe(true);

  expect(installer().status).toBe(0);
  expect(readFileSync(join(prefix, 'etc/berth/config.toml'), 'utf8')).toBe('# mine\n');
  daemon = await startInstalled();
  expect((await bed.info(id)).pid).toBe(pid);
  expect(await bed.sh(id, 'echo still here')).toBe('still here\n');
  await bed.removePod(pod);
  daemon.kill('SIGTERM');
  await once(daemon, 'exit');
  expect(installer('--uninstall').status).toBe(0);
}, 120_000);

test('the status page comes with its style and script', async () => {
  expect(installer().status).toBe(0);
  const port = await findFreePort();
  daemon = await startInstalled('--metrics-address', `127.0.0.1:${port}`);
  const pages = ['status', 'status.json', 'status.css', 'status.js'];
  const get = async (page: string) => (await fetch(`http://127.0.0.1:${port}/${page}`)).status;
  expect(await Promise.all(pages.map(get))).toEqual([200, 200, 200, 200]);
  daemon.kill('SIGTERM');
  await once(daemon, 'exit');
  expect(installer('--uninstall').status).toBe(0);
}, 60_000);

test('uninstalling where nothing is installed says so', () => {
  const refused = installer('--uninstall', '--prefix', '/opt/nothing');
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain('nothing is installed');
});
