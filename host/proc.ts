/** Processes as the kernel shows them in /proc (proc(5)). */
import { readdirSync, readFileSync } from 'node:fs';
import { sendSignal } from './launch.ts';

/** A process: its pid and its start time in clock ticks since boot, so that a recycled pid is never mistaken for it. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: number;
}

/** The parts of /proc/PID/stat after the command name, or undefined if there is no such process. */
function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined; // no such process
  }
}

/** The identity of a running process; undefined if there is none, or only a zombie of it. */
export function findProcess(pid: number): ProcessIdentity | undefined {
  const fields = statFields(pid);
  if (!fields || fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return { pid, startTime: Number(fields[19]) };
}

/** Whether exactly this process is still running. */
export function isRunning(identity: ProcessIdentity): boolean {
  return findProcess(identity.pid)?.startTime === identity.startTime;
}

/** All descendants of `pid` that run now, children before grandchildren; `pid` itself is not among them. */
export function listDescendants(pid: number): number[] {
  const childrenOf = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const candidate = Number(name);
    if (!Number.isInteger(candidate)) continue;
    const fields = statFields(candidate);
    if (!fields) continue;
    const parent = Number(fields[1]);
    const siblings = childrenOf.get(parent);
    if (siblings) siblings.push(candidate);
    else childrenOf.set(parent, [candidate]);
  }
  const found: number[] = [];
  const queue = [pid];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const children = childrenOf.get(next) ?? [];
    found.push(...children);
    queue.push(...children);
  }
  return found;
}

/** Signals exactly this process; false if it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: number): boolean {
  return isRunning(identity) && sendSignal(identity.pid, signal);
}
