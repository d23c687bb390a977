/**
 * Every verb of the pinned crictl against berthd, by SPDY and by WebSocket where it streams, as a person would use it.
 *
 *   node conformance/crictl/run.ts [--out DIR] [--keep]
 *     --out DIR     where the daemon's log goes (in the cache unless given)
 *     --keep        leave the work folder
 *
 * Prints a line per check. Ends with 0 only if every check passed, every verb was tried, and nothing was left.
 */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDir } from '../cache.ts';
import { openGround, openServer } from '../server-bed.ts';
import { Crictl } from './crictl.ts';
import { checkImageRemoval, checkImages, checkNode } from './node-verbs.ts';
import { checkContainers, checkEnd, checkPod, checkUsage } from './pod-verbs.ts';
import { checkCheckpoint, checkEvents, checkExecSync, checkStreams, listen } from './stream-verbs.ts';
import { transports, VerbTable } from './verb-table.ts';
import type { Walk } from './walk.ts';

async function walkThrough(walk: Walk): Promise<void> {
  const events = listen(walk.crictl);
  try {
    await checkNode(walk);
    await checkImages(walk);
    const pod = await checkPod(walk);
    await checkContainers(walk, pod);
    await checkExecSync(walk, pod);
    for (const transport of transports) await checkStreams(walk, pod, transport);
    await checkUsage(walk, pod);
    await checkCheckpoint(walk, pod);
    await checkEnd(walk, pod);
    await checkImageRemoval(walk);
    await checkEvents(walk, events, pod);
  } finally {
    await events.interrupt();
  }
}

/** The verbs that crictl's own help lists, but for `help`. */
async function listVerbs(crictl: Crictl): Promise<string[]> {
  const text = await crictl.ok(['--help']);
  const commands = /COMMANDS:\n([\s\S]*?)\n\s*\n/.exec(text)?.[1] ?? '';
  return commands
    .split('\n')
    .map((line) => /^ {3}([a-z-]+)/.exec(line)?.[1] ?? 'help')
    .filter((verb) => verb !== 'help');
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { out: { type: 'string' }, keep: { type: 'boolean', default: false } },
  });
  const outDir = resolve(values.out ?? cacheDir('crictl'));
  const ground = await openGround({ name: 'crictl' });
  const table = new VerbTable();
  let isGood = false;
  try {
    const bed = await openServer('berth', ground, { outDir });
    try {
      const dir = join(ground.workDir, 'walk');
      mkdirSync(dir);
      const crictl = new Crictl(ground.tools.crictl, bed.server.endpoint, dir);
      await walkThrough({ crictl, table, dir });
      const verbs = await listVerbs(crictl);
      const missing = table.missing(verbs);
      if (verbs.length === 0 || missing.length > 0) console.log(`not tried: ${missing.join(' ')}`);
      isGood = table.failed === 0 && verbs.length > 0 && missing.length === 0 && bed.server.isRunning();
    } finally {
      const left = await bed.close();
      if (left.length > 0) {
        console.log(`left behind:\n  ${left.join('\n  ')}`);
        isGood = false;
      }
    }
  } finally {
    await ground.close({ keep: values.keep });
  }
  console.log(`\n${table.summary()}`);
  process.exitCode = isGood ? 0 : 1;
}

if (import.meta.main) await main();
