/**
 * Runs the pinned critest against a CRI server and judges the result.
 *
 *   node conformance/critest/run.ts [options]
 *     --runtime berth|containerd   server to start (berth); containerd is Debian's, to compare with
 *     --endpoint unix://SOCKET     use a running server instead; it must read --hosts for its registry mirrors
 *     --hosts DIR                  where the mirrors' hosts.toml files go (the work folder unless given)
 *     --parallel N                 specs at a time (1)
 *     --focus RE / --skip RE       choose specs; each may be repeated
 *     --websocket                  exec, attach and port-forward over WebSocket instead of SPDY
 *     --oci crun|runc              what --runtime containerd runs containers with (runc)
 *     --builtin-plugins            Berth carries the CNI configuration out without its plugins
 *     --handler NAME               runtime handler for every pod (the server's default)
 *     --repeat N                   run everything N times in a row on the one server, each in its own order (1)
 *     --seed N                     order of the specs (random; printed)
 *     --out DIR                    logs and reports (in the cache unless given)
 *     --keep                       leave the work folder
 *     --restore-cgroups            unmount at the end what setup.ts mounted for crun
 *
 * Specs that need user namespaces run in a second pass where the default handler has none and another has; both passes
 * count as one run. Ends with 0 only if every spec passed or is skipped for a reason listed in skips.ts, the server stayed
 * up, nothing of it was left on the machine, and our daemon's log has no warning or error but those that log-review.ts
 * explains.
 */
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDir } from '../cache.ts';
import { type Ground, openGround, openServer } from '../server-bed.ts';
import type { Tools } from '../tools/build.ts';
import { formatReview, reviewLog } from './log-review.ts';
import { ownReports, type Pass, patternOf, planPasses, readHandlers } from './passes.ts';
import {
  formatResults,
  type GinkgoReport,
  isGood,
  judgeSpecs,
  listIdleRules,
  type SpecResult,
  tally,
} from './report.ts';
import { readTail, type ServerKind, serverKinds } from './server.ts';
import { listSkipRules } from './skips.ts';
import { listSpecs, runSuite, type SuiteRun } from './suite.ts';

/** Reads the options above, of this program unless others are given. */
export function readOptions(args: readonly string[] = process.argv.slice(2)) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runtime: { type: 'string', default: 'berth' },
      endpoint: { type: 'string' },
      hosts: { type: 'string' },
      parallel: { type: 'string', default: '1' },
      focus: { type: 'string', multiple: true, default: [] },
      skip: { type: 'string', multiple: true, default: [] },
      websocket: { type: 'boolean', default: false },
      oci: { type: 'string', default: 'runc' },
      'builtin-plugins': { type: 'boolean', default: false },
      handler: { type: 'string', default: '' },
      repeat: { type: 'string', default: '1' },
      seed: { type: 'string' },
      out: { type: 'string' },
      keep: { type: 'boolean', default: false },
      'restore-cgroups': { type: 'boolean', default: false },
    },
  });
  return values;
}

type Options = ReturnType<typeof readOptions>;

async function main(): Promise<void> {
  const values = readOptions();
  const kind = serverKinds.find((name) => name === values.runtime);
  if (kind === undefined)
    throw new Error(`--runtime is one of ${serverKinds.join(', ')}, not ${values.runtime}`);
  const outDir = resolve(
    values.out ?? cacheDir('critest', values.endpoint === undefined ? kind : 'endpoint'),
  );
  mkdirSync(outDir, { recursive: true });
  const ground = await openGround({
    name: 'critest',
    packages: kind === 'containerd' ? [kind] : [],
    ...(values.hosts === undefined ? {} : { hostsDir: values.hosts }),
  });
  const run = { values, tools: ground.tools, outDir };
  try {
    const isClean =
      values.endpoint === undefined
        ? await runWithServer(kind, ground, run)
        : await runRounds(values.endpoint, run);
    process.exitCode = isClean ? 0 : 1;
  } finally {
    await ground.close({ keep: values.keep, restoreCgroups: values['restore-cgroups'] });
    if (values.keep) console.log(`work folder: ${ground.workDir}`);
  }
}

export interface Run {
  readonly values: Options;
  readonly tools: Tools;
  readonly outDir: string;
}

/** Starts the server, runs the suite, ends the server and looks for leftovers. Resolves with whether all was well. */
async function runWithServer(kind: ServerKind, ground: Ground, run: Run): Promise<boolean> {
  const { outDir, values } = run;
  const bed = await openServer(kind, ground, {
    outDir,
    ociRuntime: values.oci,
    hasBuiltinPlugins: values['builtin-plugins'],
  });
  const { server } = bed;
  let isClean = false;
  try {
    isClean = await runRounds(server.endpoint, run);
    if (!server.isRunning()) {
      isClean = false;
      console.log(`${kind} ended during the run; end of its log:\n${readTail(server.logFile)}`);
    }
  } finally {
    const left = await bed.close();
    if (left.length > 0) {
      console.log(`left behind by ${kind}:\n  ${left.join('\n  ')}`);
      isClean = false;
    }
  }
  return kind === 'berth' ? reviewServerLog(server.logFile) && isClean : isClean;
}

/** Prints what the daemon's log says of the run, and returns whether it has no warning that is not explained. */
export function reviewServerLog(logFile: string): boolean {
  const review = reviewLog(logFile);
  for (const [reason, times] of review.explained)
    console.log(`in the daemon's log, ${times} times: ${reason}`);
  for (const [protocol, times] of review.sessions)
    console.log(`streaming sessions, ${times} times: ${protocol}`);
  const lines = formatReview(review);
  if (lines.length > 0) console.log(`in the daemon's log, unexplained:\n  ${lines.join('\n  ')}`);
  return lines.length === 0;
}

interface Round {
  readonly seed: string;
  readonly results: readonly SpecResult[];
  readonly isGood: boolean;
  readonly seconds: number;
}

/** Runs the suite as often as asked for, and resolves with whether every round was good. */
export async function runRounds(endpoint: string, run: Run): Promise<boolean> {
  const { values } = run;
  const rounds: Round[] = [];
  for (let index = 0; index < Number(values.repeat); index += 1) {
    const seed = values.seed ?? String(Math.floor(Math.random() * 1_000_000));
    rounds.push(await runRound(endpoint, run, seed));
  }
  const bad = rounds.filter((round) => !round.isGood).length;
  if (rounds.length > 1) console.log(`\n${rounds.map(formatRound).join('\n')}`);
  return bad === 0;
}

function formatRound({ seed, results, isGood: good, seconds }: Round, index: number): string {
  const counts = tally(results);
  const failed = counts.failed + counts.unexcused;
  return `round ${index + 1}: ${counts.passed} passed, ${failed} failed, seed ${seed}, ${seconds.toFixed(0)} s, ${good ? 'good' : 'NOT GOOD'}`;
}

/** Every pass of the suite, judged together: one table and one verdict. */
async function runRound(endpoint: string, run: Run, seed: string): Promise<Round> {
  const { values, outDir, tools } = run;
  const rules = listSkipRules();
  const suiteRun: Omit<SuiteRun, 'label' | 'handler'> = {
    tools,
    outDir,
    endpoint,
    focus: values.focus,
    skip: [...rules.filter((rule) => !rule.isSkippedBySuite).map((rule) => rule.spec.source), ...values.skip],
    seed,
    nodes: Number(values.parallel),
    isWebSocket: values.websocket,
  };
  const passes = planPasses(await readHandlers(tools.crictl, endpoint), values.handler);
  const startMs = Date.now();
  console.log(`critest against ${endpoint}, ${values.parallel} at a time, seed ${seed}, logs in ${outDir}`);
  const reports: GinkgoReport[] = [];
  const statuses: (number | null)[] = [];
  const others: string[] = [];
  for (const pass of passes) {
    const wanted = await selectSpecs(pass, passes, suiteRun);
    if (wanted === undefined) continue;
    const end = await runSuite({ ...wanted, label: pass.label, handler: pass.handler });
    statuses.push(end.status);
    if (pass !== passes[0]) others.push(`${pass.label}: with the handler ${pass.handler}`);
    if (end.reports === undefined) {
      console.log(
        `critest ended with ${end.status} and no report; end of its log:\n${readTail(end.logFile)}`,
      );
      return { seed, results: [], isGood: false, seconds: (Date.now() - startMs) / 1000 };
    }
    reports.push(...ownReports(pass, end.reports));
  }
  const seconds = (Date.now() - startMs) / 1000;
  const isPartial = values.focus.length + values.skip.length > 0;
  const results = judgeSpecs(reports, { rules, isPartial });
  console.log(`\n${formatResults(results)}, in ${seconds.toFixed(0)} s`);
  for (const line of others) console.log(line);
  const idle = listIdleRules(results, rules);
  for (const rule of idle) console.log(`the skip rule ${rule.spec} matches no spec of the suite`);
  const agrees = statuses.every((status) => agreesWithStatus(status, results));
  return { seed, results, isGood: isGood(results) && idle.length === 0 && agrees, seconds };
}

/**
 * Narrows a run to the pass's own specs: the first leaves out those of the others, and the others name theirs one by
 * one, since a spec must fit a focus that the user gave as well. undefined when nothing is left to run.
 */
async function selectSpecs(
  pass: Pass,
  passes: readonly Pass[],
  suiteRun: Omit<SuiteRun, 'label' | 'handler'>,
): Promise<Omit<SuiteRun, 'label' | 'handler'> | undefined> {
  if (passes.length === 1) return suiteRun;
  const names = await listSpecs({ ...suiteRun, label: 'list', handler: pass.handler });
  const own = names.filter((name) => pass.isOwnSpec(name));
  if (pass === passes[0]) {
    const others = names.filter((name) => !pass.isOwnSpec(name));
    return { ...suiteRun, skip: [...suiteRun.skip, ...others.map(patternOf)] };
  }
  return own.length === 0 ? undefined : { ...suiteRun, focus: own.map(patternOf) };
}

/** A run that is interrupted or fails outside every spec shows in the exit status only. */
function agreesWithStatus(status: number | null, results: readonly SpecResult[]): boolean {
  if (status === 0 || results.some(({ verdict }) => verdict === 'failed')) return true;
  console.log(`critest ended with ${status} although no spec failed`);
  return false;
}

if (import.meta.main) await main();
