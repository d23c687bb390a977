/**
 * A whole control plane with one node on berthd, driven by kubectl.
 *
 *   node conformance/cluster/run.ts [options]
 *     --from containerd    begin with a node on Debian's containerd, which changes to berthd before the other steps
 *     --only NAME          steps to run besides those that the others need (all); may be repeated
 *     --out DIR            logs (in the cache unless given)
 *     --log-level LEVEL    of berthd (info)
 *
 * Ends with 0 only if every step passed, nothing was left behind, and berthd's log has no warning that
 * explanations.ts does not explain.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDir } from '../cache.ts';
import { formatReview, reviewLog } from '../critest/log-review.ts';
import type { RuntimeName } from '../kubelet/bed.ts';
import { ensureKubelet } from '../kubelet/build.ts';
import { formatTable, type Outcome } from '../kubelet/report.ts';
import {
  conformancePackages,
  demoPackages,
  ensurePackages,
  prepareCgroups,
  runtimePackages,
} from '../setup.ts';
import { buildStreamingClient } from '../streaming-client/build.ts';
import { ensureTools } from '../tools/build.ts';
import { ensureControlPlane } from './build.ts';
import { Cluster } from './cluster.ts';
import { explanations } from './explanations.ts';
import { disk } from './steps/disk.ts';
import { operating } from './steps/kubectl.ts';
import { migration } from './steps/migration.ts';
import { joining, leaving } from './steps/node.ts';
import { objects } from './steps/objects.ts';
import type { Step } from './steps/step.ts';
import { workload } from './steps/workload.ts';

const steps: readonly Step[] = [...joining, ...workload, ...operating, ...objects, ...disk, ...leaving];

/** The first deployment is made on the former runtime. */
function stepsFrom(runtime: RuntimeName): readonly Step[] {
  if (runtime === 'berth') return steps;
  const first = [...joining, ...workload.filter(({ isNeeded }) => isNeeded === true)];
  return [...first, ...migration, ...steps.filter((step) => !first.includes(step))];
}

async function main(): Promise<void> {
  const { values: options } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      out: { type: 'string' },
      from: { type: 'string', default: 'berth' },
      'log-level': { type: 'string', default: 'info' },
    },
  });
  const from: RuntimeName = options.from === 'containerd' ? 'containerd' : 'berth';
  const chosen = stepsFrom(from).filter(
    ({ name, isNeeded }) => isNeeded === true || options.only.length === 0 || options.only.includes(name),
  );
  const packages = [...runtimePackages, ...demoPackages, ...conformancePackages, 'openssl', 'etcd-server'];
  if (from === 'containerd') packages.push(from);
  await ensurePackages(packages);
  await prepareCgroups();
  const binaries = await ensureKubelet();
  const cluster = await Cluster.start(
    {
      binaries,
      crictl: (await ensureTools()).crictl,
      streamingClient: await buildStreamingClient(),
      outDir: options.out ?? cacheDir('cluster', 'out'),
      runtime: from,
      featureGates: { PodAndContainerStatsFromCRI: true },
      logLevel: options['log-level'],
    },
    await ensureControlPlane(),
  );
  const outcomes: Outcome[] = [];
  let leftovers: string[] = [];
  try {
    // Ctrl+C ends the steps, not the tidying after them.
    const interrupted = new Promise<never>((_, reject) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const)
        process.once(signal, () => reject(new Error(`got ${signal}`)));
    });
    await Promise.race([runAll(chosen, cluster, outcomes), interrupted]);
  } finally {
    leftovers = await cluster.close();
  }
  const review = reviewLog(cluster.bed.berthd.logFile, explanations);
  const table = formatTable(`cluster of ${binaries.version}`, chosen, outcomes, [
    ...leftovers,
    ...formatReview(review).map((line) => `unexplained in berthd's log: ${line}`),
    ...[...review.explained].map(([reason, count]) => `expected in berthd's log, ${count} times: ${reason}`),
  ]);
  writeFileSync(join(cluster.bed.options.outDir, 'table.md'), table);
  console.log(table);
  const isGood = outcomes.length === chosen.length && outcomes.every(({ verdict }) => verdict === 'pass');
  process.exitCode = isGood && leftovers.length + review.unexplained.size === 0 ? 0 : 1;
}

async function runAll(chosen: readonly Step[], cluster: Cluster, outcomes: Outcome[]): Promise<void> {
  for (const { name, run, isNeeded } of chosen) {
    const startedMs = performance.now();
    const elapsed = (): number => Math.round(performance.now() - startedMs);
    try {
      await run(cluster);
      outcomes.push({ name, verdict: 'pass', reason: '', ms: elapsed() });
      console.log(`pass  ${name} (${(elapsed() / 1000).toFixed(1)} s)`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      outcomes.push({ name, verdict: 'fail', reason, ms: elapsed() });
      console.log(`FAIL  ${name} (${(elapsed() / 1000).toFixed(1)} s): ${reason}`);
      if (isNeeded === true) return;
    }
  }
}

if (import.meta.main) await main();
