/** Starts the critest program, by itself or on several nodes under ginkgo, and reads the report it leaves. */
import { spawn } from 'node:child_process';
import { createWriteStream, existsSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Tools } from '../tools/build.ts';
import { type GinkgoReport, nameOf } from './report.ts';

/** Which specs run, how, and against what. */
export interface SuiteRun {
  readonly tools: Tools;
  readonly outDir: string;
  /** `unix://` address of the CRI socket. */
  readonly endpoint: string;
  /** Names the log and the report in `outDir`. */
  readonly label: string;
  /** Runtime handler for every pod; '' for the server's default. */
  readonly handler: string;
  readonly focus: readonly string[];
  readonly skip: readonly string[];
  readonly seed: string;
  /** Specs at a time. */
  readonly nodes: number;
  readonly isWebSocket: boolean;
}

export interface SuiteEnd {
  readonly status: number | null;
  /** undefined when the program ended without one. */
  readonly reports: readonly GinkgoReport[] | undefined;
  readonly logFile: string;
}

type Flag = readonly [name: string, value: string];

/**
 * Runs the suite once, every spec in random order, and resolves when it has ended. SIGINT and SIGTERM are passed on
 * to it meanwhile, so that it cleans up.
 */
export async function runSuite(run: SuiteRun): Promise<SuiteEnd> {
  const flags: Flag[] = [
    ['seed', run.seed],
    ['randomize-all', 'true'],
    ['no-color', 'true'],
    ...selectionFlags(run),
  ];
  const suite = [
    ...connectionArguments(run),
    ...(run.handler === '' ? [] : [`-runtime-handler=${run.handler}`]),
    ...(run.isWebSocket ? ['-websocket-exec', '-websocket-attach', '-websocket-portforward'] : []),
  ];
  return start(run, flags, suite);
}

/** The full names of the specs that such a run would start. Asks nothing of the server. */
export async function listSpecs(run: SuiteRun): Promise<string[]> {
  const flags: Flag[] = [['dry-run', 'true'], ['no-color', 'true'], ...selectionFlags(run)];
  const { reports, logFile } = await start({ ...run, nodes: 1 }, flags, connectionArguments(run));
  if (reports === undefined) throw new Error(`critest listed no specs; its log is ${logFile}`);
  return reports
    .flatMap(({ SpecReports }) => SpecReports ?? [])
    .filter(({ LeafNodeType, State }) => LeafNodeType === 'It' && State === 'passed')
    .map(nameOf);
}

function selectionFlags({ focus, skip }: SuiteRun): Flag[] {
  return [
    ...focus.map((pattern): Flag => ['focus', pattern]),
    ...skip.map((pattern): Flag => ['skip', pattern]),
  ];
}

function connectionArguments({ endpoint, outDir }: SuiteRun): string[] {
  // Without a file of its own it would read the machine's crictl.yaml.
  return [`-runtime-endpoint=${endpoint}`, `-config=${join(outDir, 'no-such-config')}`];
}

async function start(run: SuiteRun, flags: readonly Flag[], suite: readonly string[]): Promise<SuiteEnd> {
  const { tools, outDir, label } = run;
  const reportName = `${label}.json`;
  const reportFile = join(outDir, reportName);
  const logFile = join(outDir, `${label}.log`);
  rmSync(reportFile, { force: true });
  let file = tools.critest;
  let args = [
    ...suite,
    ...flags.map(([name, value]) => `-ginkgo.${name}=${value}`),
    `-ginkgo.json-report=${reportFile}`,
  ];
  if (run.nodes > 1) {
    // ginkgo knows a compiled suite by its name's ending.
    const link = join(outDir, 'critest.test');
    rmSync(link, { force: true });
    symlinkSync(tools.critest, link);
    file = tools.ginkgo;
    args = [
      `--nodes=${run.nodes}`,
      `--json-report=${reportName}`,
      `--output-dir=${outDir}`,
      '--timeout=1h',
      '-v',
      ...flags.map(([name, value]) => `--${name}=${value}`),
      link,
      '--',
      ...suite,
    ];
  }
  const status = await runLogged(file, args, outDir, logFile);
  const reports = existsSync(reportFile)
    ? (JSON.parse(readFileSync(reportFile, 'utf8')) as GinkgoReport[])
    : undefined;
  return { status, reports, logFile };
}

function runLogged(
  file: string,
  args: readonly string[],
  cwd: string,
  logFile: string,
): Promise<number | null> {
  const log = createWriteStream(logFile);
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const passOn = (signal: NodeJS.Signals): void => {
      child.kill(signal);
    };
    const signals = ['SIGINT', 'SIGTERM'] as const;
    for (const stream of [child.stdout, child.stderr]) stream.pipe(log, { end: false });
    for (const signal of signals) process.once(signal, passOn);
    child.once('error', reject);
    child.once('close', (code) => {
      for (const signal of signals) process.off(signal, passOn);
      log.end(() => resolve(code));
    });
  });
}
