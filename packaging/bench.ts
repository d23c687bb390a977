/**
 * Compares what berthd can be started from: the sources, and bundles of several forms. Each is started in turn on a node
 * without pods, with folders of its own; nothing of an installed Berth is touched. Needs root.
 *
 *   node packaging/bench.ts [--rounds 20]
 *
 * Prints medians: from starting Node to the line that berthd serves, the time on a processor of the main thread until then
 * (which other programs on the machine disturb less), and the memory (PSS) when the daemon has settled.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type BundleForm, bundledProgram, bundlePrograms } from './bundle.ts';
import { projectRoot } from './tree.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '20' } } });
const work = mkdtempSync(join(tmpdir(), 'berth-start-'));

/** As bin/berthd gives them. */
const nodeFlags = ['--max-semi-space-size=1', '--v8-pool-size=1'];
/** berthd settles its memory two seconds after it serves. */
const settledAfterMs = 3000;

const forms: Readonly<Record<string, BundleForm>> = {
  'bundle, as installed': { format: 'cjs', isAscii: true, isMinified: false },
  'bundle, letters beyond ASCII': { format: 'cjs', isAscii: false, isMinified: false },
  'bundle, minified': { format: 'cjs', isAscii: true, isMinified: true },
  'bundle, ES modules': { format: 'es', isAscii: true, isMinified: false },
};

interface Started {
  readonly name: string;
  readonly args: readonly string[];
  readonly startMs: number[];
  readonly processorMs: number[];
  readonly memoryMb: number[];
}

function subject(name: string, args: readonly string[]): Started {
  return { name, args, startMs: [], processorMs: [], memoryMb: [] };
}

async function writeBundle(form: BundleForm, number: number): Promise<string> {
  const folder = join(work, String(number));
  mkdirSync(join(folder, 'program'), { recursive: true });
  symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
  for (const { name, text } of await bundlePrograms(form)) writeFileSync(join(folder, 'program', name), text);
  return join(folder, 'program', bundledProgram('berthd', form).file);
}

function writeConfig(): string {
  const path = join(work, 'config.toml');
  const lines = [
    '[daemon]',
    `root_dir = "${join(work, 'root')}"`,
    `state_dir = "${join(work, 'state')}"`,
    '[server]',
    `socket = "${join(work, 's.sock')}"`,
    '[log]',
    'format = "json"',
    '[metrics]',
    'address = "127.0.0.1:0"',
    '[network]',
    `cni_config_dir = "${join(work, 'cni')}"`,
    `netns_dir = "${join(work, 'netns')}"`,
    'default_network = false',
    '[nri]',
    `socket_path = "${join(work, 'nri.sock')}"`,
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

/** A program that does nothing, in the daemon's words. */
function writeNothing(): string {
  const path = join(work, 'nothing.cjs');
  writeFileSync(path, `process.stderr.write('"berthd serves"'); setInterval(() => {}, 60_000);\n`);
  return path;
}

/** Resolves when the daemon has said that it serves; what it says later is read too, and dropped. */
function untilServing(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-10_000);
      if (said.includes('"berthd serves"')) resolve();
    });
    child.once('exit', () => reject(new Error(`berthd did not start:\n${said}`)));
  });
}

/** Of the main thread, ms. */
function processorTime(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[0]) / 1e6;
}

function memory(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  return Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1]) / 1024;
}

async function start(it: Started, config: string, isCounted: boolean, isSettled: boolean): Promise<void> {
  const cache = join(work, 'compiled', it.name.replaceAll(/\W/g, '-'));
  const beganMs = performance.now();
  const child = spawn(process.execPath, [...nodeFlags, ...it.args, '--config', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, NODE_COMPILE_CACHE: cache },
  });
  await untilServing(child);
  if (isCounted) {
    it.startMs.push(performance.now() - beganMs);
    it.processorMs.push(processorTime(child.pid!));
  }
  // What was compiled is kept soon after the start.
  await sleep(isSettled ? settledAfterMs : 500);
  if (isSettled) it.memoryMb.push(memory(child.pid!));
  child.kill('SIGTERM');
  await once(child, 'exit');
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

async function main(): Promise<void> {
  const config = writeConfig();
  const subjects = [
    subject('Node alone', [writeNothing()]),
    subject('sources', [join(projectRoot, 'daemon/main.ts')]),
  ];
  for (const [number, [name, form]] of Object.entries(forms).entries())
    subjects.push(subject(name, [await writeBundle(form, number)]));
  for (const it of subjects) for (const _ of [1, 2]) await start(it, config, false, false);
  for (let round = 0; round < Number(values.rounds); round += 1)
    for (const it of round % 2 === 0 ? subjects : subjects.toReversed())
      await start(it, config, true, round % 5 === 4);
  console.log(`${'medians'.padEnd(32)}start ms  processor ms  memory MB`);
  for (const { name, startMs, processorMs, memoryMb } of subjects)
    console.log(
      name.padEnd(32) +
        median(startMs).toFixed(0).padStart(8) +
        median(processorMs).toFixed(0).padStart(14) +
        median(memoryMb).toFixed(1).padStart(11),
    );
}

try {
  await main();
} finally {
  rmSync(work, { recursive: true, force: true });
}
