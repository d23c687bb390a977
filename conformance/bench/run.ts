/**
 * Compares Berth with Debian's containerd (handlers runc and crun) and with the bare tools, in one run and interleaved: the
 * same load, CNI configuration, images and registry, so that only the runtime differs. Needs root.
 *
 *   node conformance/bench/run.ts [options] [LOAD...]     loads by name or by its beginning; all unless given
 *     --list                  names the loads
 *     --quick                 the loads that a change should not slow down, in under two minutes
 *     --subjects A,B          of berth, containerd-runc, containerd-crun (all)
 *     --no-floor              leave out the bare tools
 *     --rounds N              instead of each load's own number
 *     --berth FILE            Berth's program (made of this tree as operators have it, in the cache); bin/berthd is the tree's
 *     --profile DIR           a V8 CPU profile of Berth's daemon goes there
 *     --out DIR               result.json and plot.svg (in the cache unless given)
 *     --keep                  leave the work folder with the daemons' logs
 *
 * Ends with 0 if every load ran on every subject and nothing was left behind; targets that were missed are printed, no more.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDir, projectRoot } from '../cache.ts';
import { runCommand } from '../command.ts';
import { demoPackages, ensurePackages, prepareCgroups, runtimePackages } from '../setup.ts';
import { makeBed } from './bed.ts';
import { readMachine, readVersions } from './host-facts.ts';
import { loadImages } from './images.ts';
import { raiseKeyQuota } from './key-quota.ts';
import { type Load, type NetworkSetup, networkSetups } from './load.ts';
import { loads } from './loads/index.ts';
import { drawPlot } from './plot.ts';
import { type BenchReport, formatLoad, type LoadReport, makeLoadReport } from './report.ts';
import { describe, runLoad } from './schedule.ts';
import { type SubjectName, subjectNames } from './subject.ts';

interface Options {
  readonly loads: readonly Load[];
  readonly isQuick: boolean;
  readonly subjects: readonly SubjectName[];
  readonly withFloor: boolean;
  readonly rounds: number | undefined;
  /** Undefined for an installation of this tree, made for the run. */
  readonly berthProgram: string | undefined;
  readonly profileDir: string | undefined;
  readonly outDir: string;
  readonly keep: boolean;
}

function readOptions(): Options | undefined {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      list: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      subjects: { type: 'string', default: subjectNames.join(',') },
      'no-floor': { type: 'boolean', default: false },
      rounds: { type: 'string' },
      berth: { type: 'string' },
      profile: { type: 'string' },
      out: { type: 'string' },
      keep: { type: 'boolean', default: false },
    },
  });
  if (values.list) {
    for (const load of loads)
      console.log(`${load.name.padEnd(24)}${load.isQuick ? 'quick  ' : '       '}${load.title}`);
    return undefined;
  }
  const chosen = loads.filter(({ name, isQuick }) =>
    positionals.length > 0 ? positionals.some((start) => name.startsWith(start)) : !values.quick || isQuick,
  );
  if (chosen.length === 0) throw new Error(`no load begins with ${positionals.join(' or ')}; see --list`);
  const unknown = values.subjects
    .split(',')
    .find((name) => !(subjectNames as readonly string[]).includes(name));
  if (unknown !== undefined) throw new Error(`--subjects: ${unknown} is none of ${subjectNames.join(', ')}`);
  return {
    loads: chosen,
    isQuick: values.quick,
    subjects: subjectNames.filter((name) => values.subjects.split(',').includes(name)),
    withFloor: !values['no-floor'],
    rounds: values.rounds === undefined ? undefined : Number(values.rounds),
    berthProgram: values.berth === undefined ? undefined : resolve(values.berth),
    profileDir: values.profile === undefined ? undefined : resolve(values.profile),
    outDir: resolve(values.out ?? cacheDir('bench')),
    keep: values.keep,
  };
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options === undefined) return;
  await ensurePackages([...runtimePackages, ...demoPackages, 'containerd', 'runc', 'util-linux', 'iproute2']);
  const berthProgram = options.berthProgram ?? (await installTree());
  const restoreCgroups = await prepareCgroups();
  const restoreKeyQuota = raiseKeyQuota();
  const abort = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      console.log('interrupted: ends after this round, then cleans up');
      abort.abort(new Error('interrupted'));
    });
  }
  const startedAt = new Date();
  const reports: LoadReport[] = [];
  const left: string[] = [];
  try {
    for (const setup of networkSetups)
      left.push(...(await runSetup(setup, { options, berthProgram, reports, signal: abort.signal })));
  } finally {
    restoreKeyQuota();
    await restoreCgroups();
    if (reports.length > 0) await writeResults(options, startedAt, reports);
  }
  for (const line of left) console.log(`left behind: ${line}`);
  const hasFailed = reports.some(({ failures }) => Object.keys(failures).length > 0);
  process.exitCode = hasFailed || left.length > 0 ? 1 : 0;
}

/** What operators run: Berth installed, in a folder of the cache. Resolves with the program that its unit starts. */
async function installTree(): Promise<string> {
  const dir = cacheDir('bench', 'installed');
  const installer = join(projectRoot, 'packaging/install.ts');
  await runCommand(process.execPath, [installer, '--prefix', '/usr', '--destdir', dir]);
  return join(dir, 'usr/lib/berth/bin/berthd');
}

interface Run {
  readonly options: Options;
  readonly berthProgram: string;
  /** Grows by one per load. */
  readonly reports: LoadReport[];
  readonly signal: AbortSignal;
}

/** Runs the loads of one network set-up on a bed of their own. Resolves with what was left behind. */
async function runSetup(
  setup: NetworkSetup,
  { options, berthProgram, reports, signal }: Run,
): Promise<string[]> {
  const chosen = options.loads.filter((load) => load.setup === setup);
  if (chosen.length === 0) return [];
  const report = (line: string) => console.log(line);
  const images = await loadImages(chosen.some(({ name }) => name.startsWith('pull')));
  const nodeOptions =
    options.profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profileDir}`];
  const bed = await makeBed({
    setup,
    subjects: options.subjects,
    images,
    // The floor knows the common configuration only.
    withFloor: options.withFloor && setup !== 'default',
    berthProgram,
    nodeOptions,
    keep: options.keep,
    report,
  });
  try {
    for (const load of chosen) {
      const rounds = options.rounds === undefined ? {} : { rounds: options.rounds };
      const result = await runLoad(load, bed, { signal, report, ...rounds });
      const made = makeLoadReport(result, options.isQuick);
      const absent = Object.fromEntries(bed.failures);
      reports.push({ ...made, failures: { ...absent, ...made.failures } });
      console.log(`${formatLoad(reports.at(-1)!)}\n`);
    }
  } finally {
    await bed.dispose();
  }
  return bed.dispose();
}

async function writeResults(
  options: Options,
  startedAt: Date,
  reports: readonly LoadReport[],
): Promise<void> {
  const result: BenchReport = {
    format: 1,
    startedAt: startedAt.toISOString(),
    seconds: Math.round((Date.now() - startedAt.getTime()) / 1000),
    isQuick: options.isQuick,
    machine: readMachine(),
    versions: await readVersions(),
    loads: reports,
  };
  mkdirSync(options.outDir, { recursive: true });
  writeFileSync(join(options.outDir, 'result.json'), `${JSON.stringify(result)}\n`);
  writeFileSync(join(options.outDir, 'plot.svg'), drawPlot(result));
  console.log(`${join(options.outDir, 'result.json')} and plot.svg written after ${result.seconds} s`);
}

try {
  await main();
} catch (error) {
  // Everything has been cleaned up on the way here.
  console.log(describe(error));
  process.exitCode = 1;
}
