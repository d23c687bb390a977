/**
 * The soak: many pods live and die, several at a time, while the daemon is killed at random moments and started again. Then as
 * many again in peace, to see that memory does not grow. Before and after, everything is counted.
 *
 *   node conformance/faults/soak.ts [--pods N] [--parallel N] [--kill-every-ms N] [--network cni|builtin|native] [--keep]
 *
 * The last line is the verdict; exit status 1 if something was lost or left.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { formatFinding } from '#base/finding.ts';
import { bedNetworkOf, FaultBed, imageName } from './bed.ts';
import { type Census, residentBytes, takeCensus } from './census.ts';
import { Counter } from './counter.ts';
import { endWithVerdict, isIsolated } from './isolate.ts';
import { PodWalk } from './pod-walk.ts';

const command = ['sh', '-c', 'trap "exit 3" TERM; : >/ready; while :; do usleep 50000; done'];
/** A pod may meet several kills in each of its steps. */
const tries = 40;
/** What the heap may differ by from one collection to the next. */
const memorySlackBytes = 6 << 20;

async function leadOneLife(bed: FaultBed, name: string, index: number): Promise<number> {
  const walk = new PodWalk(bed, { name, sharesPid: index % 5 === 0, tries });
  await walk.run();
  await walk.start(command);
  await walk.exec('ready');
  await walk.stopContainer(index % 3 === 0 ? 0n : 10n);
  const { state } = await walk.status();
  if (state !== 2) throw new Error(`${name}: its container is in state ${state} after the stop`);
  if (index % 2 === 0) await walk.removeContainer();
  await walk.stop();
  await walk.remove();
  return walk.failures.length;
}

interface Lives {
  readonly failures: number;
  readonly problems: readonly string[];
}

async function leadLives(bed: FaultBed, prefix: string, pods: number, parallel: number): Promise<Lives> {
  let next = 0;
  let failures = 0;
  const problems: string[] = [];
  const worker = async () => {
    while (next < pods) {
      const index = next;
      next += 1;
      try {
        const met = await leadOneLife(bed, `${prefix}${index}`, index);
        failures += met;
      } catch (error) {
        problems.push(error instanceof Error ? error.message : String(error));
        console.log(`FAILED ${problems.at(-1)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  return { failures, problems };
}

/** Kills the daemon again and again; the pods' own retries start it. Resolves with the number of kills after `end` is called. */
function startKiller(bed: FaultBed, everyMs: number): { end: () => Promise<number> } {
  let kills = 0;
  const over = new AbortController();
  const work = (async () => {
    while (!over.signal.aborted) {
      try {
        await delay(everyMs * (0.5 + Math.random()), undefined, { signal: over.signal });
      } catch {
        return; // told to end
      }
      if (!bed.isRunning) continue;
      await bed.kill();
      kills += 1;
      // The pods' own retries report a daemon that cannot start.
      await bed.start().catch(() => {});
    }
  })();
  return {
    end: async () => {
      over.abort();
      await work;
      return kills;
    },
  };
}

/** Counts until the numbers are those of `expected`, for a while: the last pod's process may still be on its way out. */
async function settledCensus(bed: FaultBed, expected?: Census): Promise<Census> {
  let census = takeCensus(bed);
  for (let round = 0; expected && round < 50 && differences(expected, census).length > 0; round += 1) {
    await delay(200);
    census = takeCensus(bed);
  }
  return census;
}

function differences(before: Census, after: Census): string[] {
  return Object.entries(before).flatMap(([name, number]) => {
    const now = after[name as keyof Census];
    return now === number ? [] : [`${name} ${number} -> ${now}`];
  });
}

/** A fresh daemon, settled: it gives memory back two seconds after its start. */
async function restart(bed: FaultBed): Promise<void> {
  await bed.stop();
  await bed.start();
  await delay(3000);
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      pods: { type: 'string', default: '200' },
      parallel: { type: 'string', default: '8' },
      'kill-every-ms': { type: 'string', default: '3000' },
      network: { type: 'string', default: 'native' },
      keep: { type: 'boolean', default: false },
    },
  });
  const [pods, parallel, everyMs] = [
    Number(values.pods),
    Number(values.parallel),
    Number(values['kill-every-ms']),
  ];
  const bed = await FaultBed.prepare(bedNetworkOf(values.network));
  const problems: string[] = [];
  try {
    await bed.start();
    await bed.call('PullImage', { image: { image: imageName } });
    const witness = new Counter(bed);
    await witness.start();
    await leadOneLife(bed, 'first', 0);
    await restart(bed);
    const before = await settledCensus(bed);

    const startedMs = performance.now();
    const killer = startKiller(bed, everyMs);
    const wild = await leadLives(bed, 'wild', pods, parallel);
    const kills = await killer.end();
    const wildSeconds = (performance.now() - startedMs) / 1000;
    problems.push(...wild.problems);
    await restart(bed);
    const after = await settledCensus(bed, before);

    const calmPods = Math.max(parallel, Math.floor(pods / 2));
    const warm = await leadLives(bed, 'warm', calmPods, parallel);
    const memoryBefore = await residentBytes(bed);
    // Some descriptors are opened when they are first needed, and kept.
    const inPeace = await settledCensus(bed, before);
    const calm = await leadLives(bed, 'calm', calmPods, parallel);
    const memoryAfter = await residentBytes(bed);
    const last = await settledCensus(bed, inPeace);
    problems.push(...warm.problems, ...calm.problems);

    for (const [name, number] of Object.entries(before))
      console.log(
        `${name.padEnd(20)} ${String(number).padStart(6)} before ${String(after[name as keyof Census]).padStart(6)} after ${String(last[name as keyof Census]).padStart(6)} at the end`,
      );
    const megabytes = (bytes: number) => (bytes / 1048576).toFixed(1);
    console.log(
      `${'resident memory'.padEnd(20)} ${megabytes(memoryBefore)} MB after ${calmPods} pods in peace, ${megabytes(memoryAfter)} MB after ${calmPods} more`,
    );
    problems.push(...differences(before, after), ...differences(inPeace, last));
    if (memoryAfter > memoryBefore + memorySlackBytes) problems.push('memory grows');
    problems.push(...(await bed.audit()).map(formatFinding));
    const { count, problem } = await witness.finish();
    if (problem !== '') problems.push(`the witness: ${problem}`);
    const starts = bed.startsMs.toSorted((a, b) => a - b);
    console.log(
      `${pods} pods at parallelism ${parallel} in ${wildSeconds.toFixed(0)} s under ${kills} kills (${wild.failures} failed calls tried again), ${2 * calmPods} in peace; start until answered: median ${Math.round(starts[Math.floor(starts.length / 2)] ?? 0)} ms, longest ${Math.round(starts.at(-1) ?? 0)} ms`,
    );
    console.log(`the witness wrote ${count} numbers${problem === '' ? ', none missing' : ''}`);
    for (const text of problems) console.log(`  ${text}`);
    console.log(
      problems.length === 0
        ? `soak: PASSED, ${pods + 2 * calmPods} pods, ${kills} kills, nothing leaked, nothing lost`
        : `soak: FAILED, ${problems.length} problems`,
    );
    return problems.length === 0;
  } finally {
    await bed.close(values.keep);
  }
}

if (await isIsolated()) await endWithVerdict('soak', main);
