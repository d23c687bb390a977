/**
 * One pod, from nothing to nothing, through the CRI socket. Installs what is missing on a Debian machine, starts berthd,
 * serves an image made from Debian's busybox from a local registry, and does what a kubelet does, saying each step.
 *
 *   node demo/run.ts [--endpoint SOCKET]    SOCKET: talk to this running CRI server instead of starting berthd
 *
 * Ends with 0 if every check held; else with a line that says which did not. Clears up in every case, also on Ctrl-C.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CriClient } from '#conformance/cri-client.ts';
import { prepareCgroups } from '#conformance/setup.ts';
import { DemoDaemon } from './daemon.ts';
import { chooseHost, type DemoHost } from './host.ts';
import { PodWalk } from './pod-walk.ts';
import { preparePackages, serveImage } from './preparation.ts';
import { DemoFailure, Transcript } from './transcript.ts';

const transcript = new Transcript();
/** What must be undone, newest last. */
const cleanUps: { readonly name: string; readonly run: () => Promise<unknown> | unknown }[] = [];
let interruptedBy: NodeJS.Signals | undefined;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { endpoint: { type: 'string' } } });
  if (process.getuid?.() !== 0) throw new DemoFailure('the demo makes mounts and namespaces: run it as root');
  transcript.title('Berth demo: one pod, from nothing to nothing, through the CRI socket');
  const workDir = mkdtempSync(join(tmpdir(), 'berth-demo-'));
  cleanUps.push({
    name: 'remove the work folder',
    run: () => rmSync(workDir, { recursive: true, force: true }),
  });
  await preparePackages(transcript);
  cleanUps.push({ name: 'give back the cgroup mounts', run: await prepareCgroups() });
  const image = await serveImage(transcript, workDir);
  cleanUps.push({ name: 'stop the registry', run: () => image.stop() });
  const host = await chooseHost(values.endpoint, workDir);
  cleanUps.push({ name: 'put the host back', run: () => host.restore() });
  const daemon = values.endpoint === undefined ? await startDaemon(host, workDir) : undefined;
  const client = new CriClient(host.socket);
  cleanUps.push({ name: 'close the connection', run: () => client.close() });
  const walk = new PodWalk({ transcript, client, host, image: image.name, workDir });
  cleanUps.push({ name: 'remove the pod', run: () => walk.removeAll() });
  try {
    await walk.run();
  } catch (error) {
    if (daemon !== undefined && !daemon.isRunning)
      throw new DemoFailure(`berthd ended by itself; the end of its log:\n${daemon.logTail()}`, {
        cause: error,
      });
    throw error;
  }
  if (daemon !== undefined) await stopDaemon(daemon);
}

async function startDaemon(host: DemoHost, workDir: string): Promise<DemoDaemon> {
  transcript.step('Start berthd');
  transcript.say(`${host.reason}: images in ${host.rootDir}, socket ${host.socket}`);
  transcript.say(`$ ${['bin/berthd', ...host.flags.map(quoted)].join(' ')}`);
  const startMs = performance.now();
  const daemon = new DemoDaemon(host.flags, join(workDir, 'berthd.log'));
  cleanUps.push({ name: 'stop berthd', run: () => daemon.stop() });
  await daemon.ready(host.socket);
  transcript.check(
    'berthd takes calls',
    true,
    `pid ${daemon.pid}, ${Math.round(performance.now() - startMs)} ms after its start`,
  );
  return daemon;
}

async function stopDaemon(daemon: DemoDaemon): Promise<void> {
  transcript.step('Stop berthd');
  const status = await daemon.stop();
  transcript.check('SIGTERM ends berthd, and with exit status 0', status === 0, `exit status ${status}`);
}

const quoted = (text: string): string => (text === '' ? "''" : text);

/** Runs every undo, newest first, each once. Resolves with the words of those that failed. */
async function clearUp(): Promise<string[]> {
  const failures: string[] = [];
  for (const { name, run } of cleanUps.splice(0).reverse()) {
    try {
      await run();
    } catch (error) {
      failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return failures;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    // What is under way comes to its end, for it may still make what is to be removed; then nothing new begins.
    interruptedBy ??= signal;
    transcript.interrupt(`interrupted by ${signal}`);
  });

const startMs = performance.now();
let failure: unknown;
try {
  await main();
} catch (error) {
  failure = error;
  console.log(
    `\nFAILED: ${error instanceof DemoFailure ? error.message : ((error as Error).stack ?? error)}`,
  );
  console.log('clearing up');
}
const leftUndone = await clearUp();
for (const line of leftUndone) console.log(`FAILED to ${line}`);
const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
if (failure === undefined && leftUndone.length === 0)
  console.log(`\ndone: ${transcript.checkCount} checks held, in ${seconds} s`);
else process.exitCode = interruptedBy === undefined ? 1 : 130;
