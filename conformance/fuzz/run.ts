/**
 * The fuzzer: changed requests over the socket of a real berthd, and changed input for the parsers of everything that comes from
 * outside: manifests, image configs, archives, CNI results, conmon's messages, SPDY and WebSocket.
 *
 *   node conformance/fuzz/run.ts [--short] [--seed N] [--target NAME] [--count N] [--only INDEX] [--keep]
 *
 * The seed is printed; the same seed sends the same. The last line is the verdict; exit status 1 if anything was found.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { isIsolated } from '../faults/isolate.ts';
import { parserTargets } from './parsers.ts';
import { Report } from './report.ts';
import { fuzzSocket } from './socket.ts';
import { fuzzStreams } from './streams.ts';

/** By target: changed inputs in a long run and in a short one. */
const counts = {
  socket: [100_000, 3000],
  parsers: [20_000, 2000],
  streams: [20_000, 1000],
} as const;

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    seed: { type: 'string' },
    target: { type: 'string' },
    count: { type: 'string' },
    only: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});

async function main(): Promise<boolean> {
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
  const only = values.only === undefined ? undefined : Number(values.only);
  const countOf = (kind: keyof typeof counts) =>
    values.count === undefined ? counts[kind][values.short ? 1 : 0] : Number(values.count);
  const wants = (name: string) => values.target === undefined || values.target === name;
  console.log(`seed ${seed}`);
  const report = new Report(seed);
  for (const target of parserTargets.filter(({ name }) => wants(name)))
    await target.run(seed, countOf('parsers'), report, only);
  if (wants('streams')) await fuzzStreams(seed, countOf('streams'), report);
  if (wants('socket')) await fuzzSocket(seed, countOf('socket'), report, only, values.keep);
  return report.close();
}

if (await isIsolated()) process.exitCode = (await main()) ? 0 : 1;
