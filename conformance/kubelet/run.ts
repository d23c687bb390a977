/**
 * Runs the scenarios: a real kubelet in standalone mode, its pods on berthd.
 *
 *   node conformance/kubelet/run.ts [options]
 *     --only NAME          scenarios to run (all); may be repeated
 *     --jobs N             scenarios at a time (6)
 *     --gate NAME=BOOL     a feature gate of the kubelet, such as EventedPLEG=true; may be repeated
 *     --out DIR            logs (in the cache unless given)
 *     --crun PATH          a crun of your own, or `newer` for Debian 13's
 *     --handler NAME       what runs every pod: crun or runc (crun)
 *     --log-level LEVEL    of berthd (info)
 *     --kubelet-log-level N  of the kubelet (2)
 *     --keep               after a failure, wait for Enter before taking the pods away
 *
 * Ends with 0 only if every scenario passed or cannot work here for a reason that it states, nothing was left
 * behind, and berthd's log has no warning that explanations.ts does not explain.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDir } from '../cache.ts';
import { formatReview, reviewLog } from '../critest/log-review.ts';
import {
  conformancePackages,
  demoPackages,
  ensurePackages,
  prepareCgroups,
  runtimePackages,
} from '../setup.ts';
import { buildStreamingClient } from '../streaming-client/build.ts';
import { ensureTools } from '../tools/build.ts';
import { ensureNewerCrun } from '../tools/newer-crun.ts';
import { Bed } from './bed.ts';
import { ensureKubelet } from './build.ts';
import { explanations } from './explanations.ts';
import { TestPod } from './pod.ts';
import { formatTable, type Outcome } from './report.ts';
import { scenarios } from './scenarios/catalogue.ts';
import type { Scenario } from './scenarios/scenario.ts';

function readOptions() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      jobs: { type: 'string', default: '6' },
      gate: { type: 'string', multiple: true, default: [] },
      out: { type: 'string' },
      'log-level': { type: 'string', default: 'info' },
      'kubelet-log-level': { type: 'string', default: '2' },
      crun: { type: 'string' },
      handler: { type: 'string', default: 'crun' },
      keep: { type: 'boolean', default: false },
    },
  });
  return values;
}

function readGates(list: readonly string[]): Record<string, boolean> {
  return Object.fromEntries(list.map((text) => [text.split('=')[0] ?? '', text.endsWith('=true')]));
}

async function main(): Promise<void> {
  const options = readOptions();
  const chosen =
    options.only.length === 0 ? scenarios : scenarios.filter(({ name }) => options.only.includes(name));
  if (chosen.length === 0) throw new Error(`no scenario is called ${options.only.join(' or ')}`);
  await ensurePackages([...runtimePackages, ...demoPackages, ...conformancePackages, 'openssl']);
  await prepareCgroups();
  const binaries = await ensureKubelet();
  const bed = await Bed.make({
    binaries,
    crictl: (await ensureTools()).crictl,
    streamingClient: await buildStreamingClient(),
    outDir: options.out ?? cacheDir('kubelet', 'out'),
    featureGates: { PodAndContainerStatsFromCRI: true, ...readGates(options.gate) },
    logLevel: options['log-level'],
    kubeletLogLevel: options['kubelet-log-level'],
    handler: options.handler,
    crun: options.crun === 'newer' ? await ensureNewerCrun() : (options.crun ?? ''),
  });
  const outcomes: Outcome[] = [];
  let leftovers: string[] = [];
  try {
    await bed.startBerthd();
    await bed.startKubelet();
    // Ctrl+C ends the scenarios, not the tidying after them.
    const interrupted = new Promise<never>((_, reject) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const)
        process.once(signal, () => reject(new Error(`got ${signal}`)));
    });
    await Promise.race([runAll(chosen, bed, Number(options.jobs), outcomes), interrupted]);
    if (options.keep && outcomes.some(({ verdict }) => verdict === 'fail')) await waitForEnter(bed);
  } finally {
    leftovers = await bed.close();
  }
  const review = reviewLog(bed.berthd.logFile, explanations);
  const table = formatTable(`kubelet ${binaries.version}`, chosen, outcomes, [
    ...leftovers,
    ...formatReview(review).map((line) => `unexplained in berthd's log: ${line}`),
    ...[...review.explained].map(([reason, count]) => `expected in berthd's log, ${count} times: ${reason}`),
  ]);
  writeFileSync(join(bed.options.outDir, 'table.md'), table);
  console.log(table);
  process.exitCode =
    leftovers.length + review.unexplained.size === 0 && outcomes.every(({ verdict }) => verdict !== 'fail')
      ? 0
      : 1;
}

/** Side by side as far as they allow it; those that stand alone come last. */
async function runAll(
  chosen: readonly Scenario[],
  bed: Bed,
  jobs: number,
  outcomes: Outcome[],
): Promise<void> {
  const queue = chosen.filter(({ isAlone }) => isAlone !== true);
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift())
      outcomes.push(await runOne(next, bed));
  };
  await Promise.all(Array.from({ length: jobs }, work));
  for (const scenario of chosen.filter(({ isAlone }) => isAlone === true))
    outcomes.push(await runOne(scenario, bed));
}

async function runOne(scenario: Scenario, bed: Bed): Promise<Outcome> {
  const { name, example = name } = scenario;
  const whyNot = await scenario.whyNot?.(bed);
  if (whyNot !== undefined) return { name, verdict: 'cannot', reason: whyNot, ms: 0 };
  const startedMs = performance.now();
  const pod = new TestPod(bed, name);
  const elapsed = (): number => Math.round(performance.now() - startedMs);
  try {
    // Two scenarios may use one example side by side: each pod is named after its scenario.
    const rename = name === example ? {} : { [`name: ${example}\n`]: `name: ${name}\n` };
    bed.place(example, { ...rename, ...scenario.edits?.(bed) }, name);
    await withinLimit(scenario.run(pod, bed), scenario.limitMs ?? 300_000);
    const ms = elapsed();
    await pod.remove();
    console.log(`pass  ${name} (${(ms / 1000).toFixed(1)} s)`);
    return { name, verdict: 'pass', reason: '', ms };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    console.log(`FAIL  ${name} (${(elapsed() / 1000).toFixed(1)} s): ${reason}`);
    try {
      await bed.ensureRunning();
      if (scenario.isAlone === true) for (const other of bed.placed) bed.unplace(other);
      await pod.remove();
    } catch (problem) {
      console.log(`      ${problem instanceof Error ? problem.message : problem}`);
    }
    return { name, verdict: 'fail', reason, ms: elapsed() };
  }
}

/** Whatever a scenario waits for without a deadline of its own. */
function withinLimit(work: Promise<void>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`still not done after ${limitMs / 60_000} minutes`)), limitMs);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}

async function waitForEnter(bed: Bed): Promise<void> {
  console.log(`kept: ${bed.dir}, ${bed.endpoint}; press Enter to end`);
  await new Promise<void>((resolve) => process.stdin.once('data', () => resolve()));
  process.stdin.pause();
}

if (import.meta.main) await main();
