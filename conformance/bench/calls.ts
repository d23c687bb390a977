/**
 * What one small unary call costs, in checkouts of Berth and in Node's HTTP/2 alone, by turns: the median of a round's calls,
 * and of the rounds; beside it the CPU time of the server's main thread. No root, no daemon: the server of `cri/` with answers
 * that are at hand, as a process of its own.
 *
 *   node conformance/bench/calls.ts [--rounds N] [--calls N] [FOLDER...]     this checkout unless given
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { projectRoot } from '../cache.ts';
import { CriClient } from '../cri-client.ts';
import { median } from './statistics.ts';

interface Party {
  readonly name: string;
  readonly child: ChildProcess;
  readonly client: CriClient;
  readonly ms: Record<Rpc, number[]>;
  cpuMs: number;
}

const requests = { Version: {}, PodSandboxStatus: { pod_sandbox_id: 'a'.repeat(64) } } as const;
type Rpc = keyof typeof requests;
const rpcs = Object.keys(requests) as Rpc[];
/** As in bin/berthd. */
const nodeFlags = ['--max-semi-space-size=1', '--v8-pool-size=1'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '10' }, calls: { type: 'string', default: '1000' } },
});
const [rounds, calls] = [Number(values.rounds), Number(values.calls)];
const folders = (positionals.length > 0 ? positionals : [projectRoot]).map((folder) => resolve(folder));
const dir = mkdtempSync(join(tmpdir(), 'calls-'));
const parties: Party[] = [];
try {
  for (const source of [...folders, 'node:http2']) parties.push(await start(source));
  for (let round = -1; round < rounds; round += 1) await runRound(round);
  for (const party of parties) console.log(describe(party));
} finally {
  for (const { client, child } of parties) {
    client.close();
    child.kill('SIGKILL');
  }
  rmSync(dir, { recursive: true, force: true });
}

async function start(source: string): Promise<Party> {
  const socket = join(dir, `${parties.length}.sock`);
  const script = join(import.meta.dirname, 'answering.ts');
  const child = spawn(process.execPath, [...nodeFlags, script, source, socket], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise<void>((ready, fail) => {
    child.stdout.once('data', () => ready());
    child.once('exit', () => fail(new Error(`the server of ${source} ended at once`)));
  });
  const ms = { Version: [], PodSandboxStatus: [] };
  return { name: source, child, client: new CriClient(socket), ms, cpuMs: 0 };
}

/** The round before the first one warms up. */
async function runRound(round: number): Promise<void> {
  for (const rpc of rpcs) {
    for (const party of round % 2 === 0 ? parties : parties.toReversed()) {
      const times: number[] = [];
      const beforeMs = cpuMsOf(party.child);
      for (let call = 0; call < calls; call += 1)
        times.push((await party.client.time(rpc, requests[rpc])).ms);
      if (round < 0) continue;
      party.cpuMs += cpuMsOf(party.child) - beforeMs;
      party.ms[rpc].push(median(times));
    }
  }
}

/** Of the main thread alone: proc(5), schedstat. */
function cpuMsOf({ pid }: ChildProcess): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
}

function describe(party: Party): string {
  const columns = rpcs.map((rpc) => {
    const ratio = median(party.ms[rpc].map((ms, round) => ms / parties[0]!.ms[rpc][round]!));
    return `${rpc} ${median(party.ms[rpc]).toFixed(3)} ms (${ratio.toFixed(2)})`;
  });
  const cpu = (party.cpuMs / (rounds * calls * rpcs.length)).toFixed(3);
  return [party.name, ...columns, `${cpu} ms of CPU a call`].join('   ');
}
