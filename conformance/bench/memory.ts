/**
 * Memory of a runtime: the proportional set size (PSS) of all its processes without the workloads. A page that several
 * processes share counts for each in parts, so that the sum is what would be free without them. Source: proc(5), smaps_rollup.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Daemon } from './daemon.ts';

export interface MemoryReading {
  /** All processes of the runtime: daemon, shims, monitors, pause. */
  readonly totalMb: number;
  /** The daemon's own process. */
  readonly daemonMb: number;
  /** Number of processes by program name. */
  readonly processes: Readonly<Record<string, number>>;
}

/** Programs that serve a container and may sit in its cgroup without being the workload. */
const monitors = new Set(['conmon', 'containerd-shim', 'containerd-shim-runc-v2', 'catatonit', 'pause']);

/**
 * Reads the memory of a daemon with everything it runs. A process in the cgroup of one of `containerIds` is workload unless
 * it is a monitor; everything else in the daemon's or its pods' cgroups, and every process that has the daemon's folder
 * on its command line, is the runtime's.
 */
export function readMemory(daemon: Daemon, containerIds: ReadonlySet<string>): MemoryReading {
  const pids = new Set<number>();
  const workloads = new Set<number>();
  for (const { pid, cgroup } of daemon.cgroup.listProcesses()) {
    const isMonitor = monitors.has(readName(pid));
    if (isMonitor || !isContainerCgroup(cgroup, containerIds)) pids.add(pid);
    else workloads.add(pid);
  }
  for (const pid of listByFolder(daemon.dir)) if (!workloads.has(pid)) pids.add(pid);
  let totalKb = 0;
  const processes: Record<string, number> = {};
  for (const pid of pids) {
    const sizeKb = readPssKb(pid);
    if (sizeKb === undefined) continue;
    totalKb += sizeKb;
    const name = pid === daemon.pid ? daemon.name : readName(pid);
    processes[name] = (processes[name] ?? 0) + 1;
  }
  return { totalMb: totalKb / 1024, daemonMb: (readPssKb(daemon.pid) ?? 0) / 1024, processes };
}

/** Runtimes name a container's cgroup by its id, some with a prefix (`crun-ID`, `cri-containerd-ID.scope`). */
function isContainerCgroup(cgroup: string, containerIds: ReadonlySet<string>): boolean {
  const id = /[0-9a-f]{64}/.exec(basename(cgroup))?.[0];
  return id !== undefined && containerIds.has(id);
}

function readPssKb(pid: number): number | undefined {
  const match = /^Pss:\s+(\d+) kB$/m.exec(readProc(pid, 'smaps_rollup'));
  return match === null ? undefined : Number(match[1]);
}

function readName(pid: number): string {
  const program = readProc(pid, 'cmdline').split('\0')[0] ?? '';
  return basename(program);
}

function listByFolder(dir: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .map(Number)
    .filter((pid) => readProc(pid, 'cmdline').includes(`${dir}/`));
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    // It ended in the meantime.
    return '';
  }
}
