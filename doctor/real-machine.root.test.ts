/** The doctor on this kernel: a real daemon, real mounts and packet rules. It must find what is there and change nothing. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { listMounts, unmountAll } from '#host/mount.ts';
import type { Diagnosis } from './area.ts';

const main = fileURLToPath(new URL('../daemon/main.ts', import.meta.url));
const berth = fileURLToPath(new URL('../cli/main.ts', import.meta.url));
let dir: string;
let config: string;
let daemon: ChildProcess | undefined;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'berth-ill-'));
  config = join(dir, 'config.toml');
  writeFileSync(
    config,
    `[daemon]
root_dir = "${dir}/lib"
state_dir = "${dir}/run"
[server]
socket = "${dir}/berth.sock"
[metrics]
address = ""
[nri]
socket_path = "${dir}/nri.sock"
[network]
cni_config_dir = "${dir}/net.d"
cni_cache_dir = "${dir}/cni"
netns_dir = "${dir}/netns"
default_network = false
`,
  );
});

afterEach(async () => {
  if (daemon && daemon.exitCode === null && daemon.signalCode === null) {
    daemon.kill('SIGKILL');
    await once(daemon, 'exit');
  }
  daemon = undefined;
  for (const { mountPoint } of listMounts()) if (mountPoint.startsWith(`${dir}/`)) unmountAll(mountPoint);
  rmSync(dir, { recursive: true, force: true });
});

async function startDaemon(): Promise<void> {
  daemon = spawn(process.execPath, [main, '--config', config], { stdio: 'ignore' });
  while (!existsSync(`${dir}/berth.sock`)) {
    if (daemon.exitCode !== null) throw new Error(`berthd ended with ${daemon.exitCode}`);
    await delay(20);
  }
}

/** Runs the command, after `prepare` in mount and network namespaces of its own. */
function examine(prepare?: string): { status: number | null; diagnoses: Diagnosis[] } {
  const words = [process.execPath, berth, 'doctor', '--json', '--config', config];
  const command =
    prepare === undefined ? words : ['unshare', '-mn', 'sh', '-ec', `${prepare}\nexec "$@"`, 'sh', ...words];
  const { status, stdout, stderr } = spawnSync(command[0]!, command.slice(1), { encoding: 'utf8' });
  if (stdout === '') throw new Error(`no diagnoses: ${stderr}`);
  return { status, diagnoses: (JSON.parse(stdout) as { diagnoses: Diagnosis[] }).diagnoses };
}

const idsOf = ({ diagnoses }: { diagnoses: Diagnosis[] }): string[] => diagnoses.map(({ id }) => id);

/** Everything a check could have touched by mistake. */
function traces(): string {
  const files = globSync(`${dir}/**/*`).map((path) => {
    const { mode, size, mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? {};
    return `${path} ${mode} ${size} ${mtimeMs}`;
  });
  return [...files, execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' })].join('\n');
}

it('finds nothing about a daemon that runs, and finds it stopped, silent or gone', async () => {
  await startDaemon();
  const aboutDaemon = (): string[] => idsOf(examine()).filter((id) => id.startsWith('daemon/'));
  expect(aboutDaemon()).toEqual([]);
  daemon!.kill('SIGSTOP');
  await expect.poll(aboutDaemon).toEqual(['daemon/stopped']);
  daemon!.kill('SIGCONT');
  await expect.poll(aboutDaemon).toEqual([]);
  rmSync(`${dir}/berth.sock`);
  expect(aboutDaemon()).toEqual(['daemon/socket-gone']);
  daemon!.kill('SIGKILL');
  await once(daemon!, 'exit');
  expect(aboutDaemon()).toEqual(['daemon/not-running']);
});

it('tells mistakes of the configuration, and goes on with the defaults', () => {
  writeFileSync(config, '[images]\npined = []\n');
  const { status, diagnoses } = examine();
  expect(status).toBe(20);
  const found = diagnoses.find(({ id }) => id === 'daemon/config-invalid');
  expect(found?.what).toBe(`${config}:2: images.pined: unknown key: did you mean pinned?`);
});

it('changes nothing', async () => {
  const before = traces();
  expect(examine().status).toBe(20);
  expect(traces()).toBe(before);
});

it('finds a disk that is nearly full, may not run programs, or is read-only', () => {
  const ids = idsOf(
    examine(`mkdir ${dir}/lib; mount -t tmpfs -o size=8m,nr_inodes=200,noexec,nosuid tmpfs ${dir}/lib
      for n in $(seq 190); do : > ${dir}/lib/$n; done`),
  );
  for (const id of ['full', 'inodes-low', 'no-exec', 'restricted', 'volatile'])
    expect(ids).toContain(`disk/${id}`);
  expect(idsOf(examine(`mount -t tmpfs -o ro tmpfs ${dir}/lib`))).toContain('disk/read-only');
});

it('finds packet rules and switches that keep pods from the world', () => {
  writeFileSync(config, '[network]\ndefault_network = false\ncni_config_dir = "/nonexistent"\n');
  const { diagnoses } = examine(`nft add table ip filter
    nft 'add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }'`);
  const found = diagnoses.find(({ id }) => id === 'packet-rules/forward-dropped');
  expect(found).toBeDefined();
  // What mends it is a command that does.
  const fixed = examine(`nft add table ip filter
    nft 'add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }'
    ${found?.mend.split(', and')[0]}`);
  expect(idsOf(fixed)).not.toContain('packet-rules/forward-dropped');
});
