/** The thread that watches the pulse of its process; see pulse.ts. */
import { appendFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { workerData } from 'node:worker_threads';
import type { PulseInput, Standstill } from './pulse.ts';
import { note, scheduleOf, sightOf, stolenMs } from './sight.ts';

const { file, beats, delays } = workerData as PulseInput;

const lookMs = 100;
/** Shorter ones are of no interest. */
const standstillMs = 1000;

/** Where the main thread is when it next comes by a place where it can be stopped: right behind what it waited in. */
class Whereabouts {
  readonly #session = new Session();
  readonly #urls = new Map<string, string>();
  #places: string[] = [];

  constructor() {
    this.#session.connectToMainThread();
    this.#session.on('Debugger.scriptParsed', ({ params: { scriptId, url } }) => {
      if (url.startsWith('file:')) this.#urls.set(scriptId, fileURLToPath(url));
    });
    this.#session.on('Debugger.paused', ({ params }) => {
      this.#session.post('Debugger.resume');
      this.#session.post('Debugger.disable');
      this.#places = params.callFrames.flatMap(({ functionName, location }) => {
        const path = this.#urls.get(location.scriptId);
        return path === undefined
          ? []
          : [`${functionName || 'a function'} ${path}:${location.lineNumber + 1}`];
      });
    });
  }

  ask(): void {
    this.#places = [];
    this.#session.post('Debugger.enable');
    this.#session.post('Debugger.pause');
  }

  tell(): readonly string[] {
    return this.#places.slice(0, 12);
  }
}

const whereabouts = new Whereabouts();
const now = () => ({ ...scheduleOf(process.pid), stolenMs: stolenMs() });
type Before = ReturnType<typeof now>;

const silentMs = (index: number) => Number(process.hrtime.bigint() - Atomics.load(beats, index)) / 1e6;

/** Watches one standstill to its end and writes it down; `before` is from when all was well. */
async function follow(what: Standstill['what'], index: number, before: Before): Promise<void> {
  const atMs = Number(Atomics.load(beats, index)) / 1e6;
  const seen: Record<string, number> = {};
  if (index === 0) whereabouts.ask();
  while (silentMs(index) > standstillMs / 2) {
    note(seen, sightOf(process.pid));
    await delay(lookMs);
  }
  const forMs = Number(process.hrtime.bigint()) / 1e6 - atMs;
  const after = now();
  await delay(lookMs); // until the places have arrived and the delay is in the histogram
  const [p50 = 0, p99 = 0, max = 0] = [...delays].map(Math.round);
  const standstill: Standstill = {
    what,
    fromMs: Math.round(atMs),
    forMs: Math.round(forMs),
    cpuMs: Math.round(after.cpuMs - before.cpuMs),
    readyMs: Math.round(after.readyMs - before.readyMs),
    stolenMs: Math.round(after.stolenMs - before.stolenMs),
    seen,
    places: index === 0 ? whereabouts.tell() : [],
    loopDelayMs: { p50, p99, max },
  };
  appendFileSync(file, `${JSON.stringify(standstill)}\n`);
}

async function watch(what: Standstill['what'], index: number): Promise<never> {
  let before = now();
  for (;;) {
    if (silentMs(index) > standstillMs) await follow(what, index, before);
    if (silentMs(index) < lookMs) before = now();
    await delay(lookMs);
  }
}

void watch('event loop', 0);
void watch('thread pool', 1);
