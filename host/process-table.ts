/** Processes as a table of processes shows them (proc(5)). */
import { readFileSync, statSync } from 'node:fs';
import { readCommandLine } from './proc.ts';

export interface ProcessRow {
  readonly pid: number;
  readonly parentPid: number;
  readonly uid: number;
  /** One letter, as in /proc/PID/stat. */
  readonly state: string;
  /** Unix nanoseconds. */
  readonly startedAtNs: bigint;
  /** In user and kernel mode, of all its threads. */
  readonly cpuNs: bigint;
  readonly residentBytes: bigint;
  /** Its name in brackets where it has no command line, as a kernel thread or a zombie. */
  readonly command: readonly string[];
}

/** USER_HZ: what the kernel shows to programs, on every architecture of ours. */
const nsPerTick = 10_000_000n;
const pageBytes = 4096n;

/** When the machine started, by its clock now. */
function bootTimeNs(): bigint {
  const [seconds = '0'] = readFileSync('/proc/uptime', 'latin1').split(' ');
  return BigInt(Date.now()) * 1_000_000n - BigInt(Math.round(Number(seconds) * 1e9));
}

/** Rows of those processes that still are. */
export function readProcessRows(pids: readonly number[]): ProcessRow[] {
  const bootNs = bootTimeNs();
  return pids.flatMap((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
      // From the state on; the numbers of proc(5) less three.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const ticks = (at: number) => BigInt(fields[at] ?? '0') * nsPerTick;
      const command = readCommandLine(pid).map((word) => Buffer.from(word, 'latin1').toString());
      return [
        {
          pid,
          parentPid: Number(fields[1]),
          uid: statSync(`/proc/${pid}`).uid,
          state: fields[0] ?? '?',
          startedAtNs: bootNs + ticks(19),
          cpuNs: ticks(11) + ticks(12),
          residentBytes: BigInt(fields[21] ?? '0') * pageBytes,
          command: command.length > 0 ? command : [`[${name}]`],
        },
      ];
    } catch {
      return []; // it ended meanwhile
    }
  });
}
