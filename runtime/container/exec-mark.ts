/**
 * A mark on a command and on all that it starts, by which they are found whatever they do to hide: a double fork, a session
 * of their own and closed descriptors cut every tie but this one. It is a resource limit, which the kernel hands from parent
 * to child (getrlimit(2)), and one that nobody feels: how many microseconds a realtime process may run without blocking, set
 * to some 140 years. A cgroup of its own would do as well, but crun 1.8 puts `exec --cgroup` on v1 into the node's root.
 */
import { randomInt } from 'node:crypto';
import { constants } from 'node:os';
import { readText } from '#host/cgroup.ts';
import { sendSignal } from '#host/launch.ts';
import type { OciProcess } from '../spec/oci-spec.ts';

const limitType = 'RLIMIT_RTTIME';
const limitPattern = /^Max realtime timeout +(\S+) +(\S+)/m;
/** Exact in JSON, and too large to be anybody's wish. */
const base = 2 ** 52;

export interface ExecMark {
  readonly limit: number;
}

let canMark: boolean | undefined;

/** Only a limit that is not set can be set to anything: raising one takes a right that the daemon may lack. */
function isUnlimited(): boolean {
  canMark ??= limitPattern.exec(readText('/proc/self/limits') ?? '')?.[2] === 'unlimited';
  return canMark;
}

/** A mark that nothing else has, on a process about to be started; undefined where the process has such a limit already. */
export function markProcess(process: OciProcess): { process: OciProcess; mark: ExecMark | undefined } {
  const rlimits = process.rlimits ?? [];
  if (!isUnlimited() || rlimits.some(({ type }) => type === limitType)) return { process, mark: undefined };
  const limit = base + randomInt(2 ** 47);
  return {
    process: { ...process, rlimits: [...rlimits, { type: limitType, soft: limit, hard: limit }] },
    mark: { limit },
  };
}

/** The mark that a process was given by `markProcess`; undefined if it has none. */
export function markOf(process: OciProcess): ExecMark | undefined {
  const limit = process.rlimits?.find(({ type }) => type === limitType)?.hard ?? 0;
  return limit >= base ? { limit } : undefined;
}

const rounds = 10;

/** Kills those of the processes that `list` gives which carry the mark. What they start meanwhile carries it too. */
export function killMarked({ limit }: ExecMark, list: () => readonly number[]): void {
  const killed = new Set<number>();
  for (let round = 0; round < rounds; round += 1) {
    const fresh = list().filter(
      (pid) =>
        !killed.has(pid) && limitPattern.exec(readText(`/proc/${pid}/limits`) ?? '')?.[1] === String(limit),
    );
    if (fresh.length === 0) return;
    for (const pid of fresh) {
      killed.add(pid);
      sendSignal(pid, constants.signals.SIGKILL);
    }
  }
}
