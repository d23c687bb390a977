/** The faults of the sweep: which there are, and how each is said to the daemon. */
import { type StepName, stepNames } from '#base/step.ts';
import type { HangEnd } from './hang.ts';

export const phases = ['before', 'after'] as const;

/** What happens at a step, before or after its effect. A hang ends when it is lifted, or with the daemon. */
export const faults = [
  { phase: 'before', action: 'error' },
  { phase: 'before', action: 'kill' },
  { phase: 'after', action: 'error' },
  { phase: 'after', action: 'kill' },
  { phase: 'before', action: 'hang', end: 'lift' },
  { phase: 'after', action: 'hang', end: 'kill' },
] as const satisfies readonly { phase: string; action: string; end?: HangEnd }[];

export type Fault = (typeof faults)[number];

export interface Case {
  readonly step: StepName;
  readonly fault: Fault;
}

/** What must go wrong first for a step to be reached at all. */
const preludes: Partial<Record<StepName, string>> = {
  'remove-container/delete-from-runtime': 'stop-container/release:before=error',
};

/** Hangs that no client waits for: what it asked for has happened by then. */
const unnoticed: readonly StepName[] = ['stop-container/kill', 'stop-container/record-exit'];

/** Whether a client's deadline passes while this hang lasts. */
export function meetsDeadline({ step, fault }: Case): boolean {
  return fault.phase === 'before' || !unnoticed.includes(step);
}

export function allCases(): Case[] {
  return stepNames.flatMap((step) => faults.map((fault) => ({ step, fault })));
}

export function planOf({ step, fault }: Case): string {
  const text = `${step}:${fault.phase}=${fault.action}`;
  return preludes[step] === undefined ? text : `${preludes[step]},${text}`;
}

export function faultName(fault: Fault): string {
  return `${fault.phase} ${fault.action}${fault.action === 'hang' ? `, ${fault.end}` : ''}`;
}

export interface Choice {
  /** `I/N`: every N-th fault from the I-th on. */
  readonly shard: string | undefined;
  readonly only: string | undefined;
  /** Of the hangs only every N-th, another part every day; 1 for all. */
  readonly hangParts: number;
  readonly day: number;
}

/** The cases of one run. Faults that hang take longest, so that a run may do a part of them. */
export function chooseCases({ shard, only, hangParts, day }: Choice): Case[] {
  const [index = 1, count = 1] = (shard ?? '1/1').split('/').map(Number);
  let hangs = 0;
  return allCases().filter((one, at) => {
    if (one.fault.action === 'hang') {
      hangs += 1;
      if (hangs % hangParts !== day % hangParts) return false;
    }
    return at % count === index - 1 && (only === undefined || planOf(one).includes(only));
  });
}
