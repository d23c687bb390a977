/**
 * The sweep: every named step of every operation, before and after its effect, fails once, takes the daemon with it, or
 * hangs until it is let go or the daemon killed. The client tries again as the kubelet would. In the end the pod must have lived its whole life, and after its removal nothing
 * of it may be left on the machine.
 *
 *   node conformance/faults/sweep.ts [--shard I/N] [--only TEXT] [--hang-parts N] [--network cni|native] [--keep]
 *
 * The last line is the verdict; exit status 1 if a case failed.
 */
import { parseArgs } from 'node:util';
import { stepNames } from '#base/step.ts';
import { FaultBed, imageName } from './bed.ts';
import { allCases, type Case, chooseCases, faultName, faults } from './cases.ts';
import { Counter } from './counter.ts';
import { isIsolated } from './isolate.ts';
import { describeFindings, liveThrough } from './lives.ts';

interface Outcome extends Case {
  readonly ms: number;
  /** Calls that failed on the way. */
  readonly failures: readonly string[];
  /** '' for a case that went well. */
  readonly problem: string;
}

async function runCase(bed: FaultBed, one: Case): Promise<Outcome> {
  const startedMs = performance.now();
  const failures: string[] = [];
  let problem = '';
  try {
    await liveThrough(bed, one, failures);
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
  return { ...one, failures, problem, ms: performance.now() - startedMs };
}

const width = 20;

function printTable(outcomes: readonly Outcome[]): void {
  const heads = faults.map((fault) => faultName(fault).padEnd(width));
  console.log(`\n${'step'.padEnd(40)}${heads.join('')}`);
  for (const step of stepNames) {
    const cells = faults.map((fault) => {
      const found = outcomes.find((one) => one.step === step && one.fault === fault);
      if (!found) return '-'.padEnd(width);
      return `${found.problem === '' ? 'ok' : 'FAILED'} ${(found.ms / 1000).toFixed(1)}s`.padEnd(width);
    });
    if (cells.some((cell) => !cell.startsWith('-'))) console.log(step.padEnd(40) + cells.join(''));
  }
}

/** Removes what a failed case left in the daemon's hands, so that the next one starts clean. */
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
  const cases = chooseCases({
    shard: values.shard,
    only: values.only,
    hangParts: Number(values['hang-parts']),
    day: Math.floor(Date.now() / 86_400_000),
  });
  const startedMs = performance.now();
  const bed = await FaultBed.prepare(values.network === 'native' ? 'native' : 'cni');
  const outcomes: Outcome[] = [];
  try {
    await bed.start();
    await bed.call('PullImage', { image: { image: imageName } });
    const witness = new Counter(bed);
    await witness.start();
    for (const one of cases) {
      const outcome = await runCase(bed, one);
      outcomes.push(outcome);
      if (outcome.problem === '') continue;
      console.log(`FAILED ${one.step} ${faultName(one.fault)}: ${outcome.problem}`);
      for (const failure of outcome.failures) console.log(`  on the way: ${failure}`);
      await bed.start();
      await clearPods(bed);
    }
    printTable(outcomes);
    const { count, problem } = await witness.finish();
    // Answers when what was removed is off the disk.
    await bed.call('ImageFsInfo', {});
    await bed.stop();
    const left = await bed.audit();
    const failed = outcomes.filter((outcome) => outcome.problem !== '');
    const starts = bed.startsMs.toSorted((a, b) => a - b);
    const median = starts[Math.floor(starts.length / 2)] ?? 0;
    console.log(
      `\n${stepNames.length} steps; ${outcomes.length} of ${allCases().length} faults in ${Math.round((performance.now() - startedMs) / 1000)} s; ${starts.length} starts of the daemon, median ${Math.round(median)} ms until it answered`,
    );
    console.log(`the witness wrote ${count} numbers${problem === '' ? ', none missing' : `: ${problem}`}`);
    if (left.length > 0) console.log(`left when the daemon had ended: ${describeFindings(left)}`);
    const isGood = failed.length === 0 && problem === '' && left.length === 0;
    console.log(
      isGood
        ? `sweep: PASSED, ${outcomes.length} faults, nothing leaked, nothing lost`
        : `sweep: FAILED, ${failed.length} of ${outcomes.length} faults`,
    );
    return isGood;
  } finally {
    await bed.close(values.keep);
  }
}

if (await isIsolated()) process.exitCode = (await main()) ? 0 : 1;
