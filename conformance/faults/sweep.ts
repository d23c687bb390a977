/**
 * The sweep: every named step of every operation, before and after its effect, fails once or takes the daemon with it. The
 * client tries again as the kubelet would. In the end the pod must have lived its whole life, and after its removal nothing
 * of it may be left on the machine.
 *
 *   node conformance/faults/sweep.ts [--shard I/N] [--only TEXT] [--network cni|native] [--keep]
 *
 * The last line is the verdict; exit status 1 if a case failed.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Finding, formatFinding } from '#base/finding.ts';
import { type StepName, stepNames } from '#base/step.ts';
import { FaultBed, imageName, otherImageName } from './bed.ts';
import { Counter } from './counter.ts';
import { isIsolated } from './isolate.ts';
import { insist, PodWalk } from './pod-walk.ts';

const phases = ['before', 'after'] as const;
const actions = ['error', 'kill'] as const;

interface Case {
  readonly step: StepName;
  readonly phase: (typeof phases)[number];
  readonly action: (typeof actions)[number];
}

interface Outcome extends Case {
  readonly ms: number;
  /** Calls that failed on the way. */
  readonly failures: readonly string[];
  /** '' for a case that went well. */
  readonly problem: string;
}

/** What must go wrong first for a step to be reached at all. */
const preludes: Partial<Record<StepName, string>> = {
  'remove-container/delete-from-runtime': 'stop-container/release:before=error',
};

const obedient = ['sh', '-c', 'trap "exit 3" TERM; : >/ready; while :; do usleep 20000; done'];
const deaf = ['sh', '-c', 'trap "" TERM; : >/ready; while :; do usleep 20000; done'];

function allCases(): Case[] {
  return stepNames.flatMap((step) =>
    phases.flatMap((phase) => actions.map((action) => ({ step, phase, action }))),
  );
}

function planOf({ step, phase, action }: Case): string {
  const fault = `${step}:${phase}=${action}`;
  return preludes[step] === undefined ? fault : `${preludes[step]},${fault}`;
}

let counter = 0;

/** An image's life with the fault in it: pulled, used by nobody, removed. Throws what is wrong. */
async function liveImage(bed: FaultBed, one: Case, failures: string[]): Promise<void> {
  const image = { image: otherImageName };
  writeFileSync(bed.faultFile, planOf(one));
  await insist(bed, failures, 'PullImage', () => bed.call('PullImage', { image }));
  const { image: pulled } = await bed.call('ImageStatus', { image });
  if (!pulled) throw new Error('the pulled image is not there');
  await insist(bed, failures, 'RemoveImage', () => bed.call('RemoveImage', { image }));
  if (existsSync(bed.faultFile)) throw new Error('the step was never reached');
  const { images } = await bed.call('ListImages', {});
  if (images.length !== 1) throw new Error(`${images.length} images are listed, not one`);
  // What a failed pull keeps for its retry is for the next start to remove.
  await bed.stop();
  await bed.start();
  // Answers when what was removed is off the disk.
  await bed.call('ImageFsInfo', {});
  const findings = await bed.audit(true);
  if (findings.length > 0) throw new Error(describe(findings));
}

/** One pod's life with the fault in it. Throws what is wrong. */
async function live(bed: FaultBed, one: Case, failures: string[]): Promise<void> {
  counter += 1;
  const hostPort = one.step.includes('-sandbox/') ? 30000 + counter : 0;
  const walk = new PodWalk(bed, { name: `pod${counter}`, sharesPid: needsInit(one.step), hostPort });
  writeFileSync(bed.faultFile, planOf(one));
  const ignoresTerm = one.step === 'stop-container/kill';
  try {
    await walk.run();
    await walk.start(ignoresTerm ? deaf : obedient);
    await walk.exec('ready');
    await walk.stopContainer(ignoresTerm ? 1n : 10n);
    const { state, exitCode } = await walk.status();
    // A container of a pod that shares its PID namespace is killed with its sandbox's init; alone it says its own code.
    const expected = ignoresTerm ? 137 : 3;
    if (state !== 2 || exitCode !== expected)
      throw new Error(`the container is in state ${state} with exit code ${exitCode}, not ${expected}`);
    await walk.removeContainer();
    await walk.stop();
    await walk.remove();
  } finally {
    failures.push(...walk.failures);
  }
  if (existsSync(bed.faultFile)) throw new Error('the step was never reached');
  await expectNothingLeft(bed);
}

function needsInit(step: StepName): boolean {
  return /init|stop-sandbox|remove-sandbox/.test(step);
}

async function expectNothingLeft(bed: FaultBed): Promise<void> {
  const { containers } = await bed.call('ListContainers', {});
  const { items } = await bed.call('ListPodSandbox', {});
  // The witness is the one that stays.
  if (containers.length !== 1 || items.length !== 1)
    throw new Error(`${containers.length - 1} containers and ${items.length - 1} sandboxes are still listed`);
  const findings = await bed.audit();
  if (findings.length > 0) throw new Error(describe(findings));
}

function describe(findings: readonly Finding[]): string {
  return findings.map(formatFinding).join('; ');
}

async function runCase(bed: FaultBed, one: Case): Promise<Outcome> {
  const startedMs = performance.now();
  const failures: string[] = [];
  let problem = '';
  try {
    await (one.step.includes('-image/') ? liveImage : live)(bed, one, failures);
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
  return { ...one, failures, problem, ms: performance.now() - startedMs };
}

function printTable(outcomes: readonly Outcome[]): void {
  const columns = phases.flatMap((phase) => actions.map((action) => ({ phase, action })));
  const heads = columns.map(({ phase, action }) => `${phase} ${action}`.padEnd(14));
  console.log(`\n${'step'.padEnd(40)}${heads.join('')}`);
  for (const step of stepNames) {
    const cells = columns.map(({ phase, action }) => {
      const found = outcomes.find((one) => one.step === step && one.phase === phase && one.action === action);
      if (!found) return '-'.padEnd(14);
      return `${found.problem === '' ? 'ok' : 'FAILED'} ${(found.ms / 1000).toFixed(1)}s`.padEnd(14);
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

function chosenCases(shard: string | undefined, only: string | undefined): Case[] {
  const [index = 1, count = 1] = (shard ?? '1/1').split('/').map(Number);
  return allCases().filter(
    (one, at) => at % count === index - 1 && (only === undefined || planOf(one).includes(only)),
  );
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      shard: { type: 'string' },
      only: { type: 'string' },
      network: { type: 'string', default: 'cni' },
      keep: { type: 'boolean', default: false },
    },
  });
  const cases = chosenCases(values.shard, values.only);
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
      console.log(`FAILED ${planOf(one)}: ${outcome.problem}`);
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
    if (left.length > 0) console.log(`left when the daemon had ended: ${describe(left)}`);
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
