/**
 * What runs in the guest: berthd as the packaged systemd unit starts it, the suite's images from a registry beside it, critest
 * against its socket, a look at what is left, and test files of ours. Ends with 0 only if all of it was well.
 *
 *   node conformance/guest/inside.ts TASK.json
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../cache.ts';
import { runCommand } from '../command.ts';
import { readOptions, reviewServerLog, runRounds } from '../critest/run.ts';
import { serveFixtures } from '../fixtures/store.ts';
import { ensureTools, type Tools } from '../tools/build.ts';
import type { GuestTask } from './task.ts';
import { checkUnit } from './unit.ts';

const resultsDir = '/var/lib/guest-results';
const endpoint = 'unix:///run/berth/berth.sock';
const daemonLog = join(resultsDir, 'berthd.log');

function say(text: string): void {
  console.log(text.trimEnd());
}

/** The output of a shell command, or what went wrong with it. */
function ask(command: string): string {
  const { stdout, stderr } = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
  return (stdout.trim() || stderr.trim()).replaceAll('\n', ' ');
}

function describeMachine(): void {
  say(
    `kernel: ${ask('uname -r')}; cgroups: ${ask('stat -fc %T /sys/fs/cgroup')}, ${ask('cat /sys/fs/cgroup/cgroup.controllers')}`,
  );
  say(
    `security modules: ${ask('cat /sys/kernel/security/lsm')}; AppArmor on: ${ask('cat /sys/module/apparmor/parameters/enabled')}`,
  );
  say(`init: ${ask('systemctl --version | head -1')}, ${ask('systemctl is-system-running')}`);
  say(
    `${ask('crun --version | head -1')}; ${ask('conmon --version | head -1')}; ${ask('apparmor_parser --version | head -1')}`,
  );
}

/** The packaged unit, unchanged; only its output goes to a file, for the host to read. */
async function startDaemon(task: GuestTask): Promise<void> {
  mkdirSync('/etc/systemd/system/berthd.service.d', { recursive: true });
  copyFileSync(join(projectRoot, 'packaging/systemd/berthd.service'), '/etc/systemd/system/berthd.service');
  writeFileSync(
    '/etc/systemd/system/berthd.service.d/guest.conf',
    `[Service]\nStandardOutput=append:${daemonLog}\nStandardError=append:${daemonLog}\n`,
  );
  mkdirSync('/etc/berth', { recursive: true });
  // systemd is what the daemon finds out by itself.
  const driver = task.driver === 'systemd' ? '' : `[runtime]\ncgroup_driver = "${task.driver}"\n`;
  writeFileSync('/etc/berth/config.toml', `[log]\nlevel = "debug"\n[metrics]\naddress = ""\n${driver}`);
  await runCommand('systemctl', ['daemon-reload']);
  await runCommand('systemctl', ['start', 'berthd']);
  // The unit counts as started before the socket is there.
  const wait =
    'for i in $(seq 1200); do [ -S /run/berth/berth.sock ] && exit; [ "$(systemctl show -P NRestarts berthd)" = 0 ] || exit 1; sleep 0.2; done; exit 1';
  try {
    await runCommand('sh', ['-c', wait]);
  } catch (cause) {
    throw new Error(`berthd did not come up: ${ask(`tail -n 5 ${daemonLog}`)}`, { cause });
  }
}

/** Scopes of containers that systemd or the kernel still knows. */
function listScopes(): string[] {
  const groups = globSync('/sys/fs/cgroup/**/berth-*.scope');
  const units = ask("systemctl list-units --all --plain --no-legend 'berth-*.scope' | cut -d' ' -f1");
  return [
    ...groups.map((path) => `cgroup ${path}`),
    ...units
      .split(' ')
      .filter(Boolean)
      .map((name) => `unit ${name}`),
  ];
}

async function runSuite(task: GuestTask, tools: Tools): Promise<boolean> {
  const pid = ask('systemctl show -P MainPID berthd');
  const values = readOptions([
    ...['--seed', task.seed],
    ...task.focus.flatMap((pattern) => ['--focus', pattern]),
    ...task.skip.flatMap((pattern) => ['--skip', pattern]),
  ]);
  // A run takes long on a busy host: a line now and then says how far it is.
  const progress = setInterval(() => say(`specs ended so far: ${countEnded()}`), 30_000);
  const isGood = await runRounds(endpoint, { values, tools, outDir: resultsDir });
  clearInterval(progress);
  await runCommand(tools.crictl, ['-r', endpoint, '-t', '120s', 'rmp', '-a', '-f']);
  const left = [...listScopes(), ...listMounts()];
  if (ask('systemctl show -P MainPID berthd') !== pid) left.push('a daemon that ended and was started again');
  const audit = spawnSync('bin/berth-audit', ['--cgroup-parent', '/system.slice'], { encoding: 'utf8' });
  if (audit.status !== 0) left.push(`berth-audit says: ${audit.stdout.trim()}${audit.stderr.trim()}`);
  for (const line of left) say(`left behind: ${line}`);
  return reviewServerLog(daemonLog) && isGood && left.length === 0;
}

/** How many specs have ended, by the marks that critest's log has for them. */
function countEnded(): number {
  const log = join(resultsDir, 'critest.log');
  return existsSync(log) ? (readFileSync(log, 'utf8').match(/^[•S]+/gm) ?? []).join('').length : 0;
}

/** Mounts of containers and pods. */
function listMounts(): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => /^\/(run|var\/lib)\/berth\/.*(merged|rootfs|shm)/.test(path))
    .map((path) => `mount ${path}`);
}

function runTests(tests: readonly string[]): boolean {
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'root', '--project', 'unit'];
  // The clock is true to the work done, but this machine is a slow one.
  const limits = [
    '--test-timeout=600000',
    '--hook-timeout=600000',
    '--no-file-parallelism',
    '--reporter=verbose',
  ];
  // Into a file, for on a terminal vitest draws.
  const script = '"$@" >/tmp/tests.log 2>&1; status=$?; cat /tmp/tests.log; exit $status';
  const { status } = spawnSync('sh', ['-c', script, 'sh', process.execPath, ...args, ...limits, ...tests], {
    cwd: projectRoot,
    stdio: 'inherit',
    env: { ...process.env, NO_COLOR: '1', CI: '1' },
  });
  return status === 0;
}

const task = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as GuestTask;
describeMachine();
let isGood = true;
if (task.hasSuite) {
  const tools = await ensureTools();
  const registry = await serveFixtures({
    hostsDir: '/etc/berth/certs.d',
    logFile: join(resultsDir, 'registry.log'),
  });
  await startDaemon(task);
  writeFileSync(join(resultsDir, 'info.json'), await runCommand(tools.crictl, ['-r', endpoint, 'info']));
  say(`berthd runs as ${ask('cat /proc/$(systemctl show -P MainPID berthd)/cgroup')}, driver ${task.driver}`);
  isGood = await runSuite(task, tools);
  try {
    await checkUnit(task.driver, say);
  } catch (error) {
    say(`the unit: ${error instanceof Error ? error.message : String(error)}`);
    isGood = false;
  }
  await runCommand('systemctl', ['stop', 'berthd']);
  await registry.stop();
}
if (task.tests.length > 0) isGood = runTests(task.tests) && isGood;
process.exit(isGood ? 0 : 1);
