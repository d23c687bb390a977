/**
 * Runs the scenarios: a real kubelet in standalone mode, its pods on berthd.
 *
 *   node conformance/kubelet/run.ts [options]
 *     --only NAME          scenarios to run (all); may be repeated
 *     --jobs N             scenarios at a time (6)
 *     --evented-pleg       the kubelet learns of changes by the runtime's events
 *     --out DIR            logs (in the cache unless given)
 *     --crun PATH          a crun of your own, or `newer` for Debian 13's
 *     --log-level LEVEL    of berthd (info)
 *     --keep               after a failure, wait for Enter before taking the pods away
 *
 * Ends with 0 only if every scenario passed or cannot work here for a reason that it states, and nothing was left behind.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDir } from '../cache.ts';
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
import { TestPod } from './pod.ts';
import { formatTable, type Outcome } from './report.ts';
import { scenarios } from './scenarios/catalogue.ts';
import type { Scenario } from './scenarios/scenario.ts';

function readOptions() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      jobs: { type: 'string', default: '6' },
      'evented-pleg': { type: 'boolean', default: false },
      out: { type: 'string' },
      'log-level': { type: 'string', default: 'info' },
      crun: { type: 'string' },
      keep: { type: 'boolean', default: false },
    },
  });
  return values;
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
    featureGates: { PodAndContainerStatsFromCRI: true, EventedPLEG: options['evented-pleg'] },
    logLevel: options['log-level'],
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
  const table = formatTable(binaries.version, chosen, outcomes, [
    ...leftovers,
    ...listComplaints(bed.berthd.logFile),
  ]);
  writeFileSync(join(bed.options.outDir, 'table.md'), table);
  console.log(table);
  process.exitCode = leftovers.length === 0 && outcomes.every(({ verdict }) => verdict !== 'fail') ? 0 : 1;
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
    await withinLimit(scenario.run(pod, bed));
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
function withinLimit(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('still not done after 5 minutes')), 300_000);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}

/** Warnings and errors of the daemon, each once, without the ids in it. */
function listComplaints(logFile: string): string[] {
  if (!existsSync(logFile)) return [];
  const counts = new Map<string, number>();
  for (const line of readFileSync(logFile, 'utf8').split('\n')) {
    const match = /"level":"?(warn|error|fatal|40|50|60)"?.*"msg":"((?:[^"\\]|\\.)*)"/.exec(line);
    if (match === null) continue;
    const text = `${match[1]}: ${match[2]?.replace(/[0-9a-f]{12,}/g, 'ID')}`;
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return [...counts].map(([text, count]) => `berthd logged ${count} times ${text}`);
}

async function waitForEnter(bed: Bed): Promise<void> {
  console.log(`kept: ${bed.dir}, ${bed.endpoint}; press Enter to end`);
  await new Promise<void>((resolve) => process.stdin.once('data', () => resolve()));
  process.stdin.pause();
}

if (import.meta.main) await main();
