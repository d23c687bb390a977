/**
 * The sweep: every named step of every operation, before and after its effect, fails once, takes the daemon with it, or
 * hangs until it is let go or the daemon is killed; and every program that the daemon runs fails in every way a program can.
 * The client tries again as the kubelet would. In the end the pod must have lived its whole life, and after its removal
 * nothing of it may be left on the machine.
 *
 *   node conformance/faults/sweep.ts [--shard I/N] [--only TEXT] [--hang-parts N] [--network cni|builtin|native] [--keep]
 *
 * `--only` takes faults whose name has the text, such as `stop-container/` or `crun start`. The last line is the verdict; exit
 * status 1 if a fault did harm.
 */
import { parseArgs } from 'node:util';
import { buildModernPlugins, findModernPlugins } from '../tools/cni-plugins/build.ts';
import { ensureNewerCriu, type NewerCriu } from '../tools/newer-criu.ts';
import { takeAccount } from './account.ts';
import { bedNetworkOf, describeFindings, FaultBed, imageName } from './bed.ts';
import { faultName, faults, programActions, programCases, stepCases } from './cases.ts';
import { Counter } from './counter.ts';
import { endWithVerdict, isInside, isIsolated } from './isolate.ts';
import { liveProgramCase, liveStepCase } from './lives.ts';
import { modernPlugin, placeModernPlugin } from './modern-network.ts';
import { standInFor } from './stand-in.ts';

/** One fault and the life that it happens in, by its place in a table of the report. */
interface Trial {
  readonly table: 'step' | 'program';
  readonly row: string;
  readonly column: string;
  /** Throws what went wrong; `failures` grows by the calls that failed on the way. */
  readonly live: (bed: FaultBed, failures: string[]) => Promise<void>;
}

interface Outcome {
  readonly trial: Trial;
  readonly ms: number;
  /** '' for a trial that went well. */
  readonly problem: string;
}

const columns: Readonly<Record<Trial['table'], readonly string[]>> = {
  step: faults.map(faultName),
  program: programActions,
};

function allTrials(programs: readonly string[], hasCriu: boolean): Trial[] {
  return [
    ...stepCases(hasCriu).map(
      (one): Trial => ({
        table: 'step',
        row: one.step,
        column: faultName(one.fault),
        live: (bed, failures) => liveStepCase(bed, one, failures),
      }),
    ),
    ...programCases(programs).map(
      (one): Trial => ({
        table: 'program',
        row: `${one.program} ${one.operation}`,
        column: one.action,
        live: (bed, failures) => liveProgramCase(bed, one, failures),
      }),
    ),
  ];
}

function nameOf({ row, column }: Trial): string {
  return `${row} ${column}`;
}

interface Choice {
  /** `I/N`: every N-th fault from the I-th on. */
  readonly shard: string | undefined;
  readonly only: string | undefined;
  /** Of the hangs only every N-th, others the next day; 1 for all. */
  readonly hangParts: number;
}

/** The trials of one run. Hangs take longest, so that a run may do a part of them. */
function choose(trials: readonly Trial[], { shard, only, hangParts }: Choice): Trial[] {
  const [index = 1, count = 1] = (shard ?? '1/1').split('/').map(Number);
  const day = Math.floor(Date.now() / 86_400_000);
  let hangs = 0;
  return trials
    .filter((trial) => {
      if (!trial.column.includes('hang')) return true;
      hangs += 1;
      return hangs % hangParts === day % hangParts;
    })
    .filter((trial) => only === undefined || nameOf(trial).includes(only))
    .filter((_trial, at) => at % count === index - 1);
}

const shownFailures = 10;

/** Runs one trial; a failure is printed, and what it left taken away. */
async function run(bed: FaultBed, trial: Trial): Promise<Outcome> {
  const startedMs = performance.now();
  const failures: string[] = [];
  let problem = '';
  try {
    await trial.live(bed, failures);
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
    console.log(`FAILED ${nameOf(trial)}: ${problem}`);
    for (const failure of failures.slice(0, shownFailures)) console.log(`  on the way: ${failure}`);
    bed.dropFaults();
    await bed.start();
    await clearPods(bed);
  }
  return { trial, problem, ms: performance.now() - startedMs };
}

/** Removes what a failed trial left in the daemon's hands, so that the next one starts clean. */
async function clearPods(bed: FaultBed): Promise<void> {
  const { items } = await bed.call('ListPodSandbox', {});
  for (const { id, metadata } of items) {
    if (metadata?.name === 'counter') continue;
    try {
      await bed.call('RemovePodSandbox', { pod_sandbox_id: id });
    } catch (error) {
      console.log(`  cannot remove sandbox ${id}: ${error}`);
    }
  }
}

const rowWidth = 40;
const cellWidth = 20;

function printTable(table: Trial['table'], outcomes: readonly Outcome[]): void {
  const own = outcomes.filter(({ trial }) => trial.table === table);
  if (own.length === 0) return;
  const heads = columns[table].map((column) => column.padEnd(cellWidth));
  console.log(`\n${table.padEnd(rowWidth)}${heads.join('')}`);
  for (const row of new Set(own.map(({ trial }) => trial.row))) {
    const cells = columns[table].map((column) => {
      const found = own.find(({ trial }) => trial.row === row && trial.column === column);
      const text = found ? `${found.problem === '' ? 'ok' : 'FAILED'} ${(found.ms / 1000).toFixed(1)}s` : '-';
      return text.padEnd(cellWidth);
    });
    console.log(row.padEnd(rowWidth) + cells.join(''));
  }
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      shard: { type: 'string' },
      only: { type: 'string' },
      'hang-parts': { type: 'string', default: '1' },
      network: { type: 'string', default: 'cni' },
      keep: { type: 'boolean', default: false },
    },
  });
  const network = bedNetworkOf(values.network);
  const criu = await findCriu();
  const modern = network === 'cni' ? findModernPlugins() : undefined;
  const programs = [
    ...(network === 'cni' ? ['bridge'] : []),
    ...(modern === undefined ? [] : [modernPlugin]),
    ...(criu ? ['crun-criu'] : []),
  ];
  const all = allTrials(programs, criu !== undefined);
  const { shard, only } = values;
  const chosen = choose(all, { shard, only, hangParts: Number(values['hang-parts']) });
  const startedMs = performance.now();
  const bed = await FaultBed.prepare(network, undefined, criu);
  if (modern !== undefined) placeModernPlugin(bed, modern);
  const giveBackNft = standInFor(bed, 'nft');
  const outcomes: Outcome[] = [];
  try {
    await bed.start();
    await bed.call('PullImage', { image: { image: imageName } });
    const witness = new Counter(bed);
    await witness.start();
    for (const trial of chosen) outcomes.push(await run(bed, trial));
    printTable('step', outcomes);
    printTable('program', outcomes);
    const { count, problem } = await witness.finish();
    // Answers when what was removed is off the disk.
    await bed.call('ImageFsInfo', {});
    await bed.stop();
    const left = await bed.audit();
    const account = await takeAccount(network, criu);
    const failed = outcomes.filter((outcome) => outcome.problem !== '');
    const starts = bed.startsMs.toSorted((a, b) => a - b);
    const median = starts[Math.floor(starts.length / 2)] ?? 0;
    console.log(
      `\n${outcomes.length} of ${all.length} faults in ${Math.round((performance.now() - startedMs) / 1000)} s; ${starts.length} starts of the daemon, median ${Math.round(median)} ms until it answered`,
    );
    console.log(`the witness wrote ${count} numbers${problem === '' ? ', none missing' : `: ${problem}`}`);
    if (left.length > 0) console.log(`left when the daemon had ended: ${describeFindings(left)}`);
    for (const text of account.problems) console.log(`  ${text}`);
    console.log(`fault points: ${account.faultPoints}\nsteps with effects: ${account.stepsWithEffects}`);
    const isGood =
      failed.length === 0 && problem === '' && left.length === 0 && account.problems.length === 0;
    console.log(
      isGood
        ? `sweep: PASSED, ${outcomes.length} faults, nothing leaked, nothing lost`
        : `sweep: FAILED, ${failed.length} of ${outcomes.length} faults`,
    );
    return isGood;
  } finally {
    giveBackNft();
    await bed.close(values.keep);
  }
}

/** A crun and a CRIU that work here; undefined, with the reason told, where there are none. */
async function findCriu(): Promise<NewerCriu | undefined> {
  let obstacle: string;
  try {
    const found = await ensureNewerCriu();
    if (found.obstacle === undefined) return found;
    obstacle = found.obstacle;
  } catch (error) {
    obstacle = String(error);
  }
  console.log(`checkpoints are left out, for CRIU does not work here: ${obstacle}`);
  return undefined;
}

/** Outside, for there is no way to where they come from inside. */
async function fetchTools(): Promise<void> {
  await ensureNewerCriu().catch(() => {}); // told of inside
  try {
    await buildModernPlugins();
  } catch (error) {
    console.log(`STATUS and GC of CNI plugins are left out, which need Go: ${error}`);
  }
}

if (!isInside()) await fetchTools();
if (await isIsolated()) await endWithVerdict('sweep', main);
