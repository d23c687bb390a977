/**
 * Whom the kernel killed for want of memory, by its log (/dev/kmsg; kernel Documentation/ABI/testing/dev-kmsg). For cgroups
 * that are gone when it is asked: systemd removes a scope as soon as its last process has ended, and its counters with it.
 */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { errnoOf } from '#base/errors.ts';
import type { ProcessIdentity } from './proc.ts';

/** The kernel's clock ticks of /proc/PID/stat: 100 a second on every platform that Berth runs on. */
const ticksPerSecond = 100;
/** A record of the log is at most this long, and read(2) gives one whole or none. */
const recordBytes = 8192;
/** The latest kills are kept: the question comes within moments of the kill. */
const mostKept = 1024;

export class OutOfMemoryLog {
  readonly #path: string;
  #fd: number | undefined;
  /** When the process was killed, in seconds since boot, by pid. */
  readonly #processes = new Map<number, number>();
  /** Cgroup paths that killed processes were in. */
  readonly #groups = new Set<string>();

  /** Opens nothing yet. */
  constructor(path = '/dev/kmsg') {
    this.#path = path;
  }

  /**
   * Whether a process of a cgroup whose path has `id` in it was killed, or this very process. The first question reads what
   * the kernel still holds of its log (milliseconds), later ones what is new. False where the log cannot be read.
   */
  hasKilled(id: string, process: ProcessIdentity | undefined): boolean {
    this.#readNew();
    if ([...this.#groups].some((group) => group.includes(id))) return true;
    const atSeconds = process && this.#processes.get(process.pid);
    return atSeconds !== undefined && atSeconds >= process!.startTime / ticksPerSecond;
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #readNew(): void {
    const buffer = Buffer.allocUnsafe(recordBytes);
    try {
      this.#fd ??= openSync(this.#path, constants.O_RDONLY | constants.O_NONBLOCK);
      for (;;) {
        const length = readRecord(this.#fd, buffer);
        if (length === 0) return;
        for (const line of buffer.toString('latin1', 0, length).split('\n')) this.#take(line);
      }
    } catch {
      // A container without the device, or a kernel that shows its log to nobody: nothing is known then.
    }
  }

  /** `6,1234,5678901,-;text`: level, number, microseconds since boot, flags. */
  #take(line: string): void {
    const match = /^\d+,\d+,(\d+),[^;]*;(.*)$/.exec(line);
    if (!match) return;
    const [, microseconds = '0', text = ''] = match;
    // oom-kill:constraint=CONSTRAINT_MEMCG,...,oom_memcg=/a,task_memcg=/a/b,task=tail,pid=12,uid=0 (limited in rate)
    const group = /^oom-kill:.*,task_memcg=([^,]+),/.exec(text)?.[1];
    if (group !== undefined) keep(this.#groups, () => this.#groups.add(group));
    // Memory cgroup out of memory: Killed process 12 (tail) total-vm:...
    const pid = /^(?:Memory cgroup out|Out) of memory.*: Killed process (\d+) /.exec(text)?.[1];
    if (pid !== undefined)
      keep(this.#processes, () => this.#processes.set(Number(pid), Number(microseconds) / 1e6));
  }
}

/** Bytes of the next record; 0 at the end. */
function readRecord(fd: number, buffer: Buffer): number {
  for (;;) {
    try {
      return readSync(fd, buffer, 0, buffer.length, null);
    } catch (error) {
      if (errnoOf(error) === 'EAGAIN') return 0;
      // EPIPE: records were overwritten before they were read; the next read goes on after them.
      if (errnoOf(error) !== 'EPIPE') throw error;
    }
  }
}

/** Adds to a map or set and drops its oldest entry when it is full. */
function keep(all: Map<number, number> | Set<string>, add: () => void): void {
  add();
  if (all.size <= mostKept) return;
  const oldest = all.keys().next().value;
  if (oldest !== undefined) (all as { delete(key: unknown): boolean }).delete(oldest);
}
