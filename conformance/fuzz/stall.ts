/** Times in which the daemon did not answer, and by what they were the machine's: not by how long they took, but by evidence. */
import { readFileSync } from 'node:fs';
import type { Standstill } from '../faults/pulse.ts';
import { type ControlKind, kindOfWait } from './controls.ts';

export interface Stall {
  readonly fromMs: number;
  readonly toMs: number;
  /** How the call that was waited for ended. */
  readonly code: string;
  /** What its main thread was seen in meanwhile, from without: how often each. */
  readonly seen: Readonly<Record<string, number>>;
  /** How long its main thread ran meanwhile, and could have run but was given no processor. */
  readonly cpuMs: number;
  readonly readyMs: number;
  /** What the daemon itself says of that time; see pulse.ts. */
  readonly standstills: readonly Standstill[];
  readonly controlsWaitedMs: Readonly<Record<ControlKind, number>>;
  /** How much of it the fuzzer itself did not go on. */
  readonly fuzzerWaitedMs: number;
}

export interface Verdict {
  readonly whose: 'daemon' | 'machine' | 'fuzzer';
  /** What is left of the stall without what anybody would have waited for. */
  readonly ownMs: number;
  readonly why: string;
}

/** A daemon of which more than this is left has itself to blame. */
const tolerableMs = 2000;

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

/** What the main thread was seen in most often. */
function commonSight({ seen }: Stall): string {
  return Object.entries(seen).toSorted(([, a], [, b]) => b - a)[0]?.[0] ?? 'nothing';
}

/** How long it slept in the kernel for what a control waited for at the same time, by the looks at it. */
function sharedWaitMs({ seen, fromMs, toMs, controlsWaitedMs }: Stall): number {
  const looks = Object.values(seen).reduce((sum, count) => sum + count, 0);
  const byKind = new Map<ControlKind, number>();
  for (const [sight, count] of Object.entries(seen)) {
    const kind = /^[DS]/.test(sight) ? kindOfWait(sight) : undefined;
    if (kind !== undefined) byKind.set(kind, (byKind.get(kind) ?? 0) + count / looks);
  }
  return [...byKind].reduce(
    (sum, [kind, part]) => sum + Math.min(part * (toMs - fromMs), controlsWaitedMs[kind]),
    0,
  );
}

/** What the stall was, in words. */
function describe(stall: Stall): string {
  const loops = stall.standstills.filter(({ what }) => what === 'event loop');
  const stoodMs = loops.reduce((sum, { forMs }) => sum + forMs, 0);
  const places = loops.toSorted((a, b) => b.forMs - a.forMs)[0]?.places ?? [];
  return [
    `of its main thread ${Math.round(stall.cpuMs)} ms at work, ${Math.round(stall.readyMs)} ms without a processor`,
    `its event loop at a stand for ${stoodMs} ms`,
    `seen most in ${commonSight(stall)}`,
    `gone on in ${places[0] ?? 'no function of ours'}`,
  ].join(', ');
}

/**
 * Whose a stall was. What the main thread was ready to run for and was not let, and what it slept for in the kernel while a control
 * that asks for the like slept as well, was the machine's; everything else is the daemon's, explained or not.
 */
export function judge(stall: Stall): Verdict {
  const ofMachineMs = stall.readyMs + sharedWaitMs(stall);
  const ownMs = Math.max(
    0,
    Math.round(stall.toMs - stall.fromMs - Math.max(stall.fuzzerWaitedMs, ofMachineMs)),
  );
  const why = describe(stall);
  if (ownMs >= tolerableMs) return { whose: 'daemon', ownMs, why };
  return { whose: stall.fuzzerWaitedMs > ofMachineMs ? 'fuzzer' : 'machine', ownMs, why };
}
