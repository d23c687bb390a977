/**
 * Measures the choices that ARCHITECTURE.md gives reasons for, each against the usual way. Needs root.
 *
 *   node conformance/bench/choices.ts [--rounds N]     medians in ms; N is 40 unless given
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  copyFileSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pino from 'pino';
import { detectCgroupLayout, groupDirectory } from '#host/cgroup.ts';
import { CgroupMigrations } from '#host/cgroup-migration.ts';
import { spreadDirectoriesOf } from '#host/directory-hint.ts';
import { GracePeriods } from '#host/grace-periods.ts';
import { launch, run } from '#host/launch.ts';
import { performMount, unmount } from '#host/mount.ts';
import { pinNamespaces, unpinNamespace } from '#host/namespaces.ts';
import { connectInside } from '#host/netns-socket.ts';
import { SealedProgram } from '#host/sealed-program.ts';
import type { Digest } from '#images/contract.ts';
import { LayerPipeline } from '#images/unpack/layer-pipeline.ts';
import { defaultUnpackLimits } from '#images/unpack/layer-writer.ts';
import { PluginRunner } from '#network/cni/exec.ts';
import { openGate } from '#runtime/oci/start-gate.ts';
import { openDatabase } from '#state/database.ts';
import { RecordTable } from '#state/record-table.ts';
import { cniPluginDir } from '../network.ts';
import { largeLayer } from './images.ts';
import { median } from './statistics.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '40' } } });
const rounds = Number(values.rounds);
const nameWidth = 56;
const dir = mkdtempSync(join(tmpdir(), 'berth-choices-'));
// As Berth does with its own: what one measurement removes is not in the way of the next one's new files.
spreadDirectoriesOf(dir);
// A daemon that serves has a heap, and fork copies the page tables of all of it. Kept by the global: nobody reads it.
Object.assign(globalThis, { ballast: Buffer.alloc(100 << 20, 1) });

/** Prints the median time of `work`, and of its part before the first await: while that lasts, no call is served. */
async function measure(name: string, work: () => Promise<void> | void, times = rounds): Promise<void> {
  const whole: number[] = [];
  const blocking: number[] = [];
  for (let round = 0; round < times; round += 1) {
    const startMs = performance.now();
    const pending = work();
    blocking.push(performance.now() - startMs);
    await pending;
    whole.push(performance.now() - startMs);
  }
  print(name, whole, blocking);
}

/** A line of the table: the medians of its columns. */
function print(name: string, ...columns: readonly (readonly number[])[]): void {
  const shown = columns.map((times) => median(times)).map((ms) => ms.toFixed(ms < 1 ? 3 : 1).padStart(8));
  console.log(`${name.padEnd(nameWidth)} ${shown.join('  ')}`);
}

async function startPrograms(): Promise<void> {
  await measure('start a program: posix_spawn by FFI', async () => {
    await launch({ path: '/bin/true', args: [] }).exited;
  });
  await measure('                 child_process.spawn', async () => {
    await once(spawn('/bin/true', { stdio: 'ignore' }), 'close');
  });
}

async function mountFileSystems(): Promise<void> {
  const target = join(dir, 'mount');
  mkdirSync(target);
  await measure('mount and unmount: two calls by FFI', () => {
    performMount({ type: 'tmpfs', source: 'tmpfs', flags: 0, data: '' }, target);
    unmount(target);
  });
  await measure('                   the programs mount and umount', async () => {
    await run({ path: '/bin/mount', args: ['-t', 'tmpfs', 'tmpfs', target] });
    await run({ path: '/bin/umount', args: [target] });
  });
}

async function keepRecords(): Promise<void> {
  const record = { id: 'x'.repeat(64), state: 'ready', text: 'y'.repeat(1400) };
  const database = openDatabase(join(dir, 'state.db'));
  const table = new RecordTable<typeof record>(database, 'sandboxes', () => true);
  await measure('keep a record of 1.5 kB: SQLite in WAL mode', () => table.put(record));
  database.close();
  const file = join(dir, 'record.json');
  await measure('                         write, fsync, rename', () => {
    const fd = openSync(`${file}.new`, 'w');
    writeSync(fd, JSON.stringify(record));
    fsyncSync(fd);
    closeSync(fd);
    renameSync(`${file}.new`, file);
  });
}

async function runOciRuntime(): Promise<void> {
  const path = '/usr/bin/crun';
  const program = new SealedProgram(path);
  await measure('run crun (list): from a copy sealed once', async () => {
    await run({ path, executable: program.executable(), args: ['--root', dir, 'list'] });
  });
  await measure('                 from its file, which it copies', async () => {
    await run({ path, args: ['--root', dir, 'list'] });
  });
}

/** A container that waits to be started is made for each sample, outside of the time that counts. */
async function letContainersGo(): Promise<void> {
  const path = '/usr/bin/crun';
  const program = new SealedProgram(path);
  const root = join(dir, 'crun');
  const bundle = join(dir, 'bundle');
  mkdirSync(join(bundle, 'rootfs'), { recursive: true });
  copyFileSync('/bin/busybox', join(bundle, 'rootfs', 'sleep'));
  await run({ path, args: ['spec'], cwd: bundle });
  const spec = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8'));
  const process = { ...spec.process, terminal: false, args: ['/sleep', '60'] };
  writeFileSync(join(bundle, 'config.json'), JSON.stringify({ ...spec, process }));
  const crun = async (...args: string[]): Promise<void> => {
    // Its pipes would be the container's, too.
    await launch({ path, executable: program.executable(), args: ['--root', root, ...args], cwd: bundle })
      .exited;
  };
  const samples = { byte: [] as number[], program: [] as number[] };
  for (let round = 0; round < rounds; round += 1)
    for (const kind of ['byte', 'program'] as const) {
      await crun('create', kind);
      const startMs = performance.now();
      if (kind === 'program') await crun('start', kind);
      else if (!openGate(join(root, kind))) throw new Error('crun keeps no gate');
      samples[kind].push(performance.now() - startMs);
      await crun('delete', '--force', kind);
    }
  print('start a created container: the byte it waits for', samples.byte);
  print('                           crun start', samples.program);
}

/** With a masquerade rule, as the CNI plugin keeps one for each pod. */
async function detachPods(): Promise<void> {
  const name = `berth-choices-${process.pid}`;
  const bridge = `bc${process.pid}`;
  const runner = new PluginRunner([cniPluginDir]);
  const gracePeriods = new GracePeriods({ notePath: join(dir, 'note'), log: pino({ level: 'silent' }) });
  const ipam = { type: 'host-local', dataDir: join(dir, 'ipam'), ranges: [[{ subnet: '10.217.0.0/24' }]] };
  const config = { cniVersion: '1.0.0', name, type: 'bridge', bridge, isGateway: true, ipMasq: true, ipam };
  const samples = { short: [] as number[], long: [] as number[] };
  for (let round = 0; round < rounds; round += 1)
    for (const kind of ['short', 'long'] as const) {
      await run({ path: '/usr/sbin/ip', args: ['netns', 'add', name] });
      const netnsPath = `/run/netns/${name}`;
      const attachment = { containerId: name, netnsPath, ifName: 'eth0', args: [], capabilityArgs: {} };
      const call = (command: 'ADD' | 'DEL') =>
        runner.call({ plugin: 'bridge', command, attachment, config, timeoutMs: 10_000, signal: undefined });
      await call('ADD');
      const startMs = performance.now();
      await (kind === 'short' ? gracePeriods.expedited(() => call('DEL')) : call('DEL'));
      samples[kind].push(performance.now() - startMs);
      await run({ path: '/usr/sbin/ip', args: ['netns', 'delete', name] });
    }
  await run({ path: '/usr/sbin/ip', args: ['link', 'delete', bridge] });
  print('detach a pod by the bridge plugin: short grace periods', samples.short);
  print('                                   as they are', samples.long);
}

/** A move after a rest, as when a probe or a pod comes; the 4 ms are what an OCI runtime takes to get there. */
async function moveIntoGroups(): Promise<void> {
  const { version } = detectCgroupLayout();
  const group = groupDirectory(version, 'pids', `berth-choices-${process.pid}`);
  mkdirSync(group);
  const migrations = new CgroupMigrations(pino({ level: 'silent' }));
  const samples = { expected: [] as number[], unexpected: [] as number[] };
  for (let round = 0; round < rounds; round += 1)
    for (const kind of ['expected', 'unexpected'] as const) {
      const child = launch({ path: '/bin/sleep', args: ['60'] });
      await delay(100);
      if (kind === 'expected') migrations.expect();
      await delay(4);
      const startMs = performance.now();
      await writeFile(join(group, 'cgroup.procs'), String(child.pid));
      samples[kind].push(performance.now() - startMs);
      child.kill(9);
      await child.exited;
    }
  for (const [kind, times] of Object.entries(samples))
    print(`move a process into a control group: ${kind}`, times);
  await delay(100);
  rmdirSync(group);
}

/** What a pull does with a layer's bytes once they are here; the tools run side by side in a pipe, each on what core is free. */
async function unpackLayer(): Promise<void> {
  const layer = largeLayer();
  const blob = join(dir, 'layer');
  writeFileSync(blob, layer.bytes);
  const target = join(dir, 'tree');
  const empty = () => {
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target);
  };
  const limits = { ...defaultUnpackLimits, freeBytes: 0 };
  const expected = { blob: layer.digest, diffId: layer.diffId } as { blob: Digest; diffId: Digest };
  const few = Math.min(rounds, 5);
  await measure(
    'unpack a layer of 35 MB, both digests: our pipeline',
    async () => {
      empty();
      const pipeline = new LayerPipeline(target, expected, limits);
      for (let at = 0; at < layer.bytes.length; at += 65_536)
        await pipeline.write(layer.bytes.subarray(at, at + 65_536));
      const { tree } = await pipeline.finish();
      if (tree instanceof Error) throw tree;
    },
    few,
  );
  const script = 'tee >(sha256sum >&2) <"$1" | gzip -dc | tee >(sha256sum >&2) | tar -x -C "$2"';
  await measure(
    '                         gzip, sha256sum twice, tar',
    async () => {
      empty();
      await run({ path: '/bin/bash', args: ['-c', script, 'bash', blob, target] });
    },
    few,
  );
}

async function enterNamespaces(): Promise<void> {
  const netPath = join(dir, 'net');
  const programs = { unshare: '/usr/bin/unshare', nsenter: '/usr/bin/nsenter', sh: '/bin/sh' };
  const { signal } = new AbortController();
  const paths = { netPath, ipcPath: join(dir, 'ipc'), utsPath: join(dir, 'uts') };
  const pin = () => pinNamespaces({ ...paths, hostname: 'choices', sysctls: {} }, programs, signal);
  const unpin = () => Object.values(paths).forEach(unpinNamespace);
  await measure('a pod: pin three namespaces, lo up, and unpin', async () => {
    await pin();
    unpin();
  });
  await pin();
  // Listens in the namespace: made there by the same trick that is measured.
  const helper = spawn('nsenter', [`--net=${netPath}`, process.execPath, '-e', server], { stdio: 'pipe' });
  await once(helper.stdout, 'data');
  await measure('a connection inside a pod: setns for one system call', async () => {
    (await connectInside(netPath, '127.0.0.1', 4321, signal)).destroy();
  });
  await measure('                           nsenter and a program', async () => {
    await run({
      path: '/usr/bin/nsenter',
      args: [`--net=${netPath}`, 'bash', '-c', ': </dev/tcp/127.0.0.1/4321'],
    });
  });
  helper.kill();
  await once(helper, 'close');
  unpin();
}

const server = `require('net').createServer((s) => s.on('error', () => {}).end()).listen(4321, '127.0.0.1', () => console.log('up'))`;

console.log(
  `${`medians of ${rounds}, in ms, with ${process.memoryUsage.rss() >> 20} MiB resident`.padEnd(nameWidth)}    whole  blocking`,
);
try {
  await startPrograms();
  await runOciRuntime();
  await letContainersGo();
  await detachPods();
  await moveIntoGroups();
  await mountFileSystems();
  await keepRecords();
  await enterNamespaces();
  await unpackLayer();
} finally {
  rmSync(dir, { recursive: true, force: true });
}
