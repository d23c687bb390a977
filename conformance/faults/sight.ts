/** What one thread is in, as the kernel says it (proc(5)). */
import { readFileSync } from 'node:fs';

const mostFrames = 12;

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return ''; // gone, or a kernel without this file
  }
}

/** The state and the kernel stack of the main thread of a process, innermost first: `D rtnl_lock < netlink_sendmsg < ...`. */
export function sightOf(pid: number): string {
  const [state = '?'] = read(`/proc/${pid}/task/${pid}/stat`).split(') ')[1]?.split(' ') ?? [];
  const stack = read(`/proc/${pid}/task/${pid}/stack`)
    .split('\n')
    .map((line) => line.replace(/^\[<0>\] |\+0x.*$/g, ''))
    .slice(0, mostFrames);
  return `${state} ${stack.join(' < ')}`;
}

/** Counts what was seen, each once with how often. */
export function note(seen: Record<string, number>, sight: string): void {
  seen[sight] = (seen[sight] ?? 0) + 1;
}

export interface Schedule {
  readonly cpuMs: number;
  readonly readyMs: number;
}

/** How long the main thread of a process has run so far, and could have run but was given no processor (sched-stats.rst). */
export function scheduleOf(pid: number): Schedule {
  const [ran = 0, waited = 0] = read(`/proc/${pid}/task/${pid}/schedstat`).split(' ').map(Number);
  return { cpuMs: ran / 1e6, readyMs: waited / 1e6 };
}

/** What the host of this machine has given to others so far, of all processors (proc(5), /proc/stat). */
export function stolenMs(): number {
  return Number(read('/proc/stat').split('\n')[0]?.split(/\s+/)[8] ?? 0) * 10;
}
