/** Who holds a lock, without touching it: taking it for a look could make a daemon fail that starts at that moment. */
import type { Machine } from './machine.ts';

/** The pid that holds the flock(2) on `path`, from /proc/locks; undefined if nobody does, or nobody who can be seen. */
export function findHolder(machine: Machine, path: string): number | undefined {
  const stat = machine.stat(path);
  if (!stat) return undefined;
  const major = (stat.dev >>> 8) & 0xfff;
  const minor = (stat.dev & 0xff) | ((stat.dev >>> 12) & 0xfff00);
  const hex = (value: number): string => value.toString(16).padStart(2, '0');
  const file = `${hex(major)}:${hex(minor)}:${stat.ino}`;
  for (const line of (machine.read('/proc/locks') ?? '').split('\n')) {
    // 1: FLOCK  ADVISORY  WRITE 4711 00:2b:123 0 EOF; a waiting one has an arrow after the number.
    const [, type, , , pid, place] = line.trim().split(/\s+/);
    if (type === 'FLOCK' && place === file && Number(pid) > 0) return Number(pid);
  }
  return undefined;
}
