/**
 * Runs the pinned critest against a CRI server and judges the result.
 *
 *   node conformance/critest/run.ts [options]
 *     --runtime berth|containerd   server to start (berth); containerd is Debian's, to compare with
 *     --endpoint unix://SOCKET     use a running server instead; it must read --hosts for its registry mirrors
 *     --hosts DIR                  where the mirrors' hosts.toml files go (the work folder unless given)
 *     --parallel N                 specs at a time (1)
 *     --focus RE / --skip RE       choose specs; each may be repeated
 *     --all                        run what is listed as not built yet, too
 *     --websocket                  exec, attach and port-forward over WebSocket instead of SPDY
 *     --oci crun|runc              what --runtime containerd runs containers with (runc)
 *     --handler NAME               runtime handler for every pod
 *     --seed N                     order of the specs (random; printed)
 *     --out DIR                    logs and reports (in the cache unless given)
 *     --keep                       leave the work folder
 *     --restore-cgroups            unmount at the end what setup.ts mounted for crun
 *
 * Ends with 0 only if every spec passed or is skipped for a reason listed in skips.ts, the server stayed up,
 * and nothing of it was left on the machine.
 */
import { spawn } from 'node:child_process';
import {
  copyFileSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDir } from '../cache.ts';
import { runCommand } from '../command.ts';
import { type FixtureRegistry, serveFixtures } from '../fixtures/store.ts';
import { makeTestNetwork, type TestNetwork } from '../network.ts';
import {
  conformancePackages,
  demoPackages,
  ensurePackages,
  prepareCgroups,
  runtimePackages,
} from '../setup.ts';
import { ensureTools, type Tools } from '../tools/build.ts';
import { ensureNewerCrun } from '../tools/newer-crun.ts';
import { findLeftovers, formatLeftovers, removeLeftovers } from './leftovers.ts';
import {
  formatResults,
  type GinkgoReport,
  isGood,
  judgeSpecs,
  listIdleRules,
  type SpecResult,
} from './report.ts';
import { readTail, type Server, type ServerKind, serverKinds, startServer } from './server.ts';
import { listSkipRules, type SkipRule } from './skips.ts';

function readOptions() {
  const { values } = parseArgs({
    options: {
      runtime: { type: 'string', default: 'berth' },
      endpoint: { type: 'string' },
      hosts: { type: 'string' },
      parallel: { type: 'string', default: '1' },
      focus: { type: 'string', multiple: true, default: [] },
      skip: { type: 'string', multiple: true, default: [] },
      all: { type: 'boolean', default: false },
      websocket: { type: 'boolean', default: false },
      oci: { type: 'string', default: 'runc' },
      handler: { type: 'string', default: '' },
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
  await ensurePackages([
    ...runtimePackages,
    ...demoPackages,
    ...conformancePackages,
    ...(kind === 'containerd' ? [kind] : []),
  ]);
  const restoreCgroups = await prepareCgroups();
  const tools = await ensureTools();
  const outDir = resolve(
    values.out ?? cacheDir('critest', values.endpoint === undefined ? kind : 'endpoint'),
  );
  mkdirSync(outDir, { recursive: true });
  const workDir = mkdtempSync(join(tmpdir(), 'critest-'));
  const registry = await serveFixtures({
    hostsDir: resolve(values.hosts ?? join(workDir, 'hosts')),
    logFile: join(workDir, 'registry.log'),
  });
  try {
    const isClean =
      values.endpoint === undefined
        ? await runWithServer(kind, { values, tools, outDir, workDir, registry })
        : await runSuite(values.endpoint, { values, tools, outDir });
    process.exitCode = isClean ? 0 : 1;
  } finally {
    await registry.stop();
    if (values['restore-cgroups']) await restoreCgroups();
    if (!values.keep) rmSync(workDir, { recursive: true, force: true });
    else console.log(`work folder: ${workDir}`);
  }
}

interface Run {
  readonly values: Options;
  readonly tools: Tools;
  readonly outDir: string;
}

interface ServerRun extends Run {
  readonly workDir: string;
  readonly registry: FixtureRegistry;
}

/** Pods with user namespaces need crun 1.9: where the installed one is older, Debian 13's serves as a second handler. */
async function findNewerCrun(): Promise<string | undefined> {
  const printed = await runCommand('crun', ['--version']);
  const [, major, minor] = /(\d+)\.(\d+)/.exec(printed) ?? [];
  const isNewEnough = Number(major) > 1 || (Number(major) === 1 && Number(minor) >= 9);
  return isNewEnough ? undefined : ensureNewerCrun();
}

/** Starts the server, runs the suite, ends the server and looks for leftovers. Resolves with whether all was well. */
async function runWithServer(kind: ServerKind, run: ServerRun): Promise<boolean> {
  const network = makeTestNetwork(run.workDir);
  const newerCrun = kind === 'berth' ? await findNewerCrun() : undefined;
  const paths = {
    dir: run.workDir,
    cniConfDir: network.confDir,
    registryHostsDir: run.registry.hostsDir,
    ...(newerCrun === undefined ? {} : { newerCrun }),
  };
  const server = await startServer(kind, paths, run.values.oci);
  let isClean = false;
  try {
    isClean = await runSuite(server.endpoint, run);
    if (!server.isRunning()) {
      isClean = false;
      console.log(`${kind} ended during the run; end of its log:\n${readTail(server.logFile)}`);
    }
  } finally {
    const left = await endServer(server, run, network);
    copyFileSync(server.logFile, join(run.outDir, 'server.log'));
    if (left.length > 0) {
      console.log(`left behind by ${kind}:\n  ${left.join('\n  ')}`);
      isClean = false;
    }
  }
  return isClean;
}

/** Removes every pod, ends the server, and returns what is left of it, after clearing that away. */
async function endServer(server: Server, run: ServerRun, network: TestNetwork): Promise<string[]> {
  const left: string[] = [];
  if (server.isRunning()) {
    try {
      await runCommand(run.tools.crictl, ['-r', server.endpoint, '-t', '60s', 'rmp', '-a', '-f']);
    } catch (error) {
      left.push(`pods that could not be removed: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  await server.stop();
  const leftovers = findLeftovers(run.workDir, network.bridge);
  left.push(...formatLeftovers(leftovers));
  await removeLeftovers(leftovers);
  await network.remove();
  return left;
}

async function runSuite(endpoint: string, run: Run): Promise<boolean> {
  const { values, outDir } = run;
  const isOurs = values.runtime === 'berth' && !values.all;
  const rules = listSkipRules().filter((rule) => isOurs || rule.kind !== 'notBuilt');
  const seed = values.seed ?? String(Math.floor(Math.random() * 1_000_000));
  const reportFile = join(outDir, 'report.json');
  rmSync(reportFile, { force: true });
  console.log(
    `critest against ${endpoint}, ${values.parallel} at a time, seed ${seed}, log ${join(outDir, 'critest.log')}`,
  );
  const startMs = Date.now();
  const status = await runCritest(endpoint, run, rules, seed);
  const seconds = ((Date.now() - startMs) / 1000).toFixed(0);
  if (!existsSync(reportFile)) {
    console.log(
      `critest ended with ${status} and no report; end of its log:\n${readTail(join(outDir, 'critest.log'))}`,
    );
    return false;
  }
  const reports = JSON.parse(readFileSync(reportFile, 'utf8')) as GinkgoReport[];
  const isPartial = values.focus.length + values.skip.length > 0;
  const results = judgeSpecs(reports, { rules, isPartial });
  console.log(`\n${formatResults(results)}, in ${seconds} s`);
  const idle = listIdleRules(results, rules);
  for (const rule of idle) console.log(`the skip rule ${rule.spec} matches no spec of the suite`);
  return isGood(results) && idle.length === 0 && agreesWithStatus(status, results);
}

/** A run that is interrupted or fails outside every spec shows in the exit status only. */
function agreesWithStatus(status: number | null, results: readonly SpecResult[]): boolean {
  if (status === 0 || results.some(({ verdict }) => verdict === 'failed')) return true;
  console.log(`critest ended with ${status} although no spec failed`);
  return false;
}

/** Runs critest, by itself or under ginkgo for several nodes, and resolves with its exit status. */
function runCritest(
  endpoint: string,
  run: Run,
  rules: readonly SkipRule[],
  seed: string,
): Promise<number | null> {
  const { values, tools, outDir } = run;
  const skips = [
    ...rules.filter((rule) => !rule.isSkippedBySuite).map((rule) => rule.spec.source),
    ...values.skip,
  ];
  const ginkgo: [string, string][] = [
    ['seed', seed],
    ['no-color', 'true'],
    ...values.focus.map((pattern): [string, string] => ['focus', pattern]),
    ...skips.map((pattern): [string, string] => ['skip', pattern]),
  ];
  const suite = [
    `-runtime-endpoint=${endpoint}`,
    ...(values.handler === '' ? [] : [`-runtime-handler=${values.handler}`]),
    ...(values.websocket ? ['-websocket-exec', '-websocket-attach', '-websocket-portforward'] : []),
    // Otherwise a crictl.yaml of the machine is read.
    `-config=${join(outDir, 'no-such-config')}`,
  ];
  let file = tools.critest;
  let args = [
    ...suite,
    ...ginkgo.map(([key, value]) => `-ginkgo.${key}=${value}`),
    `-ginkgo.json-report=${join(outDir, 'report.json')}`,
  ];
  if (values.parallel !== '1') {
    // ginkgo knows a compiled suite by its name's ending.
    const link = join(outDir, 'critest.test');
    rmSync(link, { force: true });
    symlinkSync(tools.critest, link);
    const own = ginkgo.map(([key, value]) => `--${key}=${value}`);
    file = tools.ginkgo;
    args = [
      `--nodes=${values.parallel}`,
      '--json-report=report.json',
      `--output-dir=${outDir}`,
      '--timeout=1h',
      '-v',
      ...own,
      link,
      '--',
      ...suite,
    ];
  }
  const log = createWriteStream(join(outDir, 'critest.log'));
  return new Promise((resolveStatus, reject) => {
    const child = spawn(file, args, { cwd: outDir, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) stream.pipe(log, { end: false });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill(signal));
    child.once('error', reject);
    child.once('close', (code) => log.end(() => resolveStatus(code)));
  });
}

if (import.meta.main) await main();
