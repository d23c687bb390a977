/** Times in which the daemon did not answer, and by what they were the machine's: not by how long they took, but by evidence. */
import { readFileSync } from 'node:fs';
import type { Standstill } from '../faults/pulse.ts';
import { type ControlKind, kindOfWait, timeWithin } from './controls.ts';

export interface Stall {
  readonly fromMs: number;
  readonly toMs: number;
  /** How the call that was waited for ended. */
  readonly code: string;
  /** What its main thread was seen in meanwhile, from without: how often each. */
  readonly seen: Readonly<Record<string, number>>;
  /** What the daemon itself says of that time; see pulse.ts. */
  readonly standstills: readonly Standstill[];
  readonly controlsWaitedMs: Readonly<Record<ControlKind, number>>;
  /** How much of it the fuzzer itself did not go on. */
  readonly fuzzerWaitedMs: number;
}

export interface Verdict {
  /** `machine` only where something shows that anybody would have waited; what nothing explains is the daemon's. */
  readonly whose: 'daemon' | 'machine' | 'fuzzer';
  readonly why: string;
}

/** An explanation must cover as much of a stall. */
const share = 0.7;

/** The standstills in the file that `keepPulse` writes which overlap the time. */
export function readStandstills(file: string, fromMs: number, toMs: number): Standstill[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return []; // there was none yet
  }
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Standstill)
    .filter((each) => each.fromMs < toMs && each.fromMs + each.forMs > fromMs);
}

/** What the main thread was seen in most often, and in which share of the looks. */
function commonSight(seen: Stall['seen']): { sight: string; part: number } {
  const looks = Object.values(seen).reduce((sum, count) => sum + count, 0);
  const [sight, count] = Object.entries(seen).toSorted(([, a], [, b]) => b - a)[0] ?? ['nowhere', 0];
  return { sight, part: count / Math.max(1, looks) };
}

export function judge(stall: Stall): Verdict {
  const stallMs = stall.toMs - stall.fromMs;
  const covers = (ms: number) => ms >= share * stallMs;
  if (covers(stall.fuzzerWaitedMs))
    return { whose: 'fuzzer', why: `the fuzzer did not go on for ${Math.round(stall.fuzzerWaitedMs)} ms` };
  const loops = stall.standstills.filter(({ what }) => what === 'event loop');
  const spans = loops.map(({ fromMs, forMs }) => ({ fromMs, toMs: fromMs + forMs }));
  if (!covers(timeWithin(spans, stall.fromMs, stall.toMs)))
    return { whose: 'daemon', why: 'its event loop went on, and the call was not answered' };
  const longest = loops.toSorted((a, b) => b.forMs - a.forMs)[0]!;
  const sum = (each: (standstill: Standstill) => number) =>
    loops.reduce((total, one) => total + each(one), 0);
  if (covers(sum(({ readyMs }) => readyMs)))
    return { whose: 'machine', why: 'its main thread could have run, and no processor was given to it' };
  if (covers(sum(({ cpuMs }) => cpuMs)))
    return {
      whose: 'daemon',
      why: `its main thread computed, in ${longest.places[0] ?? 'no function of ours'}`,
    };
  const { sight, part } = commonSight(stall.seen);
  const where = `its main thread was seen in ${sight}, and went on in ${longest.places[0] ?? 'no function of ours'}`;
  if (sight.startsWith('T')) return { whose: 'daemon', why: `somebody stopped it: ${where}` };
  const kind = kindOfWait(sight);
  if (kind !== undefined && part >= share && covers(stall.controlsWaitedMs[kind]))
    return { whose: 'machine', why: `${where}; the control for ${kind} waited as long` };
  return { whose: 'daemon', why: `${where}; no control that asks for the like waited as long` };
}
