/**
 * Asks the daemon for its version all the while, by a connection of its own. When no answer comes, what the daemon and the machine do
 * is written down while it lasts, and whose stall it was is judged when it is over.
 */
import { appendFileSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { RuntimeService } from '#proto/generated/cri.ts';
import { cacheDir } from '../cache.ts';
import type { FaultBed } from '../faults/bed.ts';
import { note, scheduleOf, sightOf } from '../faults/sight.ts';
import { Controls, monotonicMs, timeWithin } from './controls.ts';
import { gatherEvidence } from './evidence.ts';
import { judge, readStandstills, type Stall, type Verdict } from './stall.ts';

const everyMs = 200;
/** Longer than any stall that would be judged, so that its end is seen. */
const timeoutMs = 60_000;
/** What a busy machine may take; beyond, evidence is gathered, at first soon and then less often. */
const noticedMs = 2000;
const looksAtMs = [2000, 4000, 8000, 16_000, 32_000];
const glanceMs = 250;
const beatMs = 100;
/** Until the daemon's own word about a standstill has been written. */
const wordMs = 500;
const asIs = (bytes: Buffer): Buffer => bytes;

/** A stall that was noticed, as it stands in the report. */
export interface NoticedStall {
  readonly ms: number;
  readonly verdict: Verdict;
  readonly words: string;
}

export class Watch {
  readonly #bed: FaultBed;
  readonly #client: Client;
  readonly #controls: Controls;
  readonly #fileStem: string;
  readonly #ownGaps: { fromMs: number; toMs: number }[] = [];
  readonly #beat: NodeJS.Timeout;
  readonly #done: Promise<void>;
  readonly stalls: NoticedStall[] = [];
  #isStopped = false;
  #pause: Promise<unknown> | undefined;
  #probing: Promise<void> | undefined;
  slowestMs = 0;
  peakBytes = 0;
  probes = 0;
  /** The status of a call that was not answered with OK, by nobody's fault but the daemon's. */
  silence = '';

  constructor(bed: FaultBed, seed: number) {
    this.#bed = bed;
    this.#client = new Client(`unix://${bed.config.server.socket}`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
    this.#controls = new Controls(bed.dir, bed.name);
    this.#fileStem = join(cacheDir('fuzz'), `seed-${seed}-stall`);
    for (const name of readdirSync(cacheDir('fuzz')))
      if (name.startsWith(`seed-${seed}-stall-`)) rmSync(join(cacheDir('fuzz'), name));
    let lastMs = monotonicMs();
    this.#beat = setInterval(() => {
      const now = monotonicMs();
      if (now - lastMs > 2 * beatMs) this.#ownGaps.push({ fromMs: lastMs, toMs: now });
      lastMs = now;
    }, beatMs);
    this.#done = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      await delay(everyMs);
      await this.#pause;
      this.#probing = this.#probe();
      await this.#probing;
      this.probes += 1;
      this.peakBytes = Math.max(this.peakBytes, this.#residentBytes());
    }
  }

  async #probe(): Promise<void> {
    const fromMs = monotonicMs();
    const file = `${this.#fileStem}-${this.stalls.length + 1}`;
    const looks = looksAtMs.map((atMs) =>
      setTimeout(() => {
        if (this.#bed.pid === 0) return;
        const evidence = gatherEvidence(this.#bed.pid, this.#controls.pids);
        appendFileSync(
          file,
          `after ${Math.round(monotonicMs() - fromMs)} ms without an answer\n${evidence}\n\n`,
        );
      }, atMs),
    );
    const seen: Record<string, number> = {};
    const glance = setInterval(() => {
      if (this.#bed.pid !== 0 && monotonicMs() - fromMs > noticedMs / 2) note(seen, sightOf(this.#bed.pid));
    }, glanceMs);
    const before = scheduleOf(this.#bed.pid);
    const code = await this.#askVersion();
    const after = scheduleOf(this.#bed.pid);
    clearInterval(glance);
    for (const look of looks) clearTimeout(look);
    const toMs = monotonicMs();
    this.slowestMs = Math.max(this.slowestMs, toMs - fromMs);
    let isDaemons = true;
    if (toMs - fromMs >= noticedMs) {
      await delay(wordMs);
      const [cpuMs, readyMs] = [after.cpuMs - before.cpuMs, after.readyMs - before.readyMs];
      isDaemons = this.#note({ fromMs, toMs, code, seen, cpuMs, readyMs }, file).whose === 'daemon';
    }
    if (code !== 'OK' && isDaemons) this.silence = `Version answered ${code}`;
  }

  #note(time: Omit<Stall, 'standstills' | 'controlsWaitedMs' | 'fuzzerWaitedMs'>, file: string): Verdict {
    const stall: Stall = {
      ...time,
      standstills: readStandstills(this.#bed.pulseFile, time.fromMs, time.toMs),
      controlsWaitedMs: this.#controls.waitedMs(time.fromMs, time.toMs),
      fuzzerWaitedMs: timeWithin(this.#ownGaps, time.fromMs, time.toMs),
    };
    const verdict = judge(stall);
    appendFileSync(
      file,
      `${JSON.stringify({ verdict, ...stall }, null, 2)}\n\nlog of berthd:\n${this.#bed.logTail(40)}\n`,
    );
    const ms = Math.round(time.toMs - time.fromMs);
    const words = `no answer to Version for ${ms} ms (${time.code}), ${verdict.ownMs} ms of them the ${verdict.whose === 'daemon' ? "daemon's" : `daemon's, the rest the ${verdict.whose}'s`}: ${verdict.why}; evidence: ${file}`;
    this.stalls.push({ ms, verdict, words });
    return verdict;
  }

  #askVersion(): Promise<string> {
    return new Promise((resolve) => {
      const options = { deadline: Date.now() + timeoutMs };
      const end = (error: ServiceError | null) => resolve(status[error?.code ?? 0] ?? String(error?.code));
      this.#client.makeUnaryRequest(RuntimeService.Version.path, asIs, asIs, Buffer.alloc(0), options, end);
    });
  }

  /** Does what keeps the daemon from answering by our own doing, and asks nothing meanwhile. */
  async aside<T>(work: () => Promise<T>): Promise<T> {
    const pause = Promise.withResolvers<void>();
    this.#pause = pause.promise;
    try {
      await this.#probing;
      return await work();
    } finally {
      this.#pause = undefined;
      pause.resolve();
    }
  }

  #residentBytes(): number {
    try {
      const text = readFileSync(`/proc/${this.#bed.pid}/status`, 'latin1');
      return Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
    } catch {
      return 0; // it is gone, which others notice
    }
  }

  /** Resolves when nothing of the watch is left. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
    clearInterval(this.#beat);
    this.#client.close();
    await this.#controls.end();
  }
}
