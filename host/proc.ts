/** Processes as the kernel shows them in /proc (proc(5)). */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { decodeStatus, type ExitStatus, sendSignal } from './launch.ts';

/** A process: its pid and its start time in clock ticks since boot, so that a recycled pid is never mistaken for it. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: number;
}

/** Whether a process has the file at `path` open, under whatever name. False if either is not there. */
export function hasOpen(pid: number, path: string): boolean {
  const file = statSync(path, { throwIfNoEntry: false });
  if (!file) return false;
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const held = statSync(`/proc/${pid}/fd/${fd}`, { throwIfNoEntry: false });
      return held?.ino === file.ino && held.dev === file.dev;
    });
  } catch {
    return false; // it has ended
  }
}

/** The parts of /proc/PID/stat after the command name, or undefined if there is no such process. */
function statFields(pid: number): string[] | undefined {
  try {
    // As UTF-8 in one call of Node; what a name may hold beside that is not looked at.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined; // no such process
  }
}

/** When the process started, in clock ticks since boot; also of a zombie. Undefined if there is none. */
export function startTimeOf(pid: number): number | undefined {
  const fields = statFields(pid);
  return fields && Number(fields[19]);
}

/** How a process ended that nobody has reaped yet; undefined if it runs or is gone. Another user's is not told (proc(5), exit_code). */
export function readExitStatus(identity: ProcessIdentity): ExitStatus | undefined {
  const fields = statFields(identity.pid);
  if (fields?.[0] !== 'Z' || Number(fields[19]) !== identity.startTime) return undefined;
  return decodeStatus(Number(fields[49]));
}

/** The pid of the parent; undefined if there is no such process. */
export function parentOf(pid: number): number | undefined {
  const fields = statFields(pid);
  return fields && Number(fields[1]);
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

/** linux/sched.h, PF_EXITING. */
const exitingFlag = 0x4;

/**
 * Whether the process is gone, or about to be: the first one of a PID namespace is shown as running until it has taken all
 * others along, and then no process can enter the namespace any more.
 */
export function isEnding(identity: ProcessIdentity): boolean {
  const fields = statFields(identity.pid);
  if (!fields || Number(fields[19]) !== identity.startTime) return true;
  return fields[0] === 'Z' || fields[0] === 'X' || (Number(fields[6]) & exitingFlag) !== 0;
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

/** The command line of a process, its arguments one by one; empty for a kernel thread and for one that is gone. */
export function readCommandLine(pid: number): string[] {
  return readWords(`/proc/${pid}/cmdline`);
}

function readWords(path: string): string[] {
  try {
    const text = readFileSync(path, 'latin1');
    return text === '' ? [] : text.replace(/\0$/, '').split('\0');
  } catch {
    return []; // gone, or about to be
  }
}

export interface ProgramProcess extends ProcessIdentity {
  readonly command: readonly string[];
  /** `NAME=value` entries; empty unless they were asked for. */
  readonly environment: readonly string[];
}

/**
 * Running processes whose program, as they were started (argv[0]), `isProgram` accepts. Programs that run from a sealed copy
 * of themselves, as OCI runtimes do, keep that name but no /proc/PID/exe.
 */
export function listProcessesOf(
  isProgram: (path: string) => boolean,
  options: { readonly withEnvironment?: boolean } = {},
): ProgramProcess[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid)) return [];
    const command = readCommandLine(pid);
    if (command.length === 0 || !isProgram(command[0]!)) return [];
    const identity = findProcess(pid);
    const environment = options.withEnvironment ? readWords(`/proc/${pid}/environ`) : [];
    return identity ? [{ ...identity, command, environment }] : [];
  });
}
