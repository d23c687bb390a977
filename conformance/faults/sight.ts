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
