/**
 * Measures the choices that ARCHITECTURE.md gives reasons for, each against the usual way. Needs root.
 *
 *   node conformance/bench/choices.ts [--rounds N]     medians in ms; N is 40 unless given
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
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
import { launch, run } from '#host/launch.ts';
import { performMount, unmount } from '#host/mount.ts';
import { pinNamespaces, unpinNamespace } from '#host/namespaces.ts';
import { connectInside } from '#host/netns-socket.ts';
import { SealedProgram } from '#host/sealed-program.ts';
import type { Digest } from '#images/contract.ts';
import { LayerPipeline } from '#images/unpack/layer-pipeline.ts';
import { defaultUnpackLimits } from '#images/unpack/layer-writer.ts';
import { openDatabase } from '#state/database.ts';
import { RecordTable } from '#state/record-table.ts';
import { largeLayer } from './images.ts';
import { median } from './statistics.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '40' } } });
const rounds = Number(values.rounds);
const dir = mkdtempSync(join(tmpdir(), 'berth-choices-'));
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
  const shown = [median(whole), median(blocking)].map((ms) => ms.toFixed(ms < 1 ? 3 : 1).padStart(8));
  console.log(`${name.padEnd(52)} ${shown.join('  ')}`);
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
    console.log(
      `move a process into a control group: ${kind}`.padEnd(52),
      median(times).toFixed(1).padStart(8),
    );
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
  `${`medians of ${rounds}, in ms, with ${process.memoryUsage.rss() >> 20} MiB resident`.padEnd(52)}    whole  blocking`,
);
try {
  await startPrograms();
  await runOciRuntime();
  await moveIntoGroups();
  await mountFileSystems();
  await keepRecords();
  await enterNamespaces();
  await unpackLayer();
} finally {
  rmSync(dir, { recursive: true, force: true });
}
