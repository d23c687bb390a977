/**
 * Cgroups of the benchmark's own: one per daemon for CPU time and the list of its processes, one beside it as parent of its
 * pods. CPU time of a cgroup counts every process that ran there, also those that have ended. cgroup v1 (cpuacct) and v2.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

const mountPoint = '/sys/fs/cgroup';

/** The hierarchy that counts CPU time. */
function findHierarchy(): { readonly dir: string; readonly isV2: boolean } {
  if (existsSync(join(mountPoint, 'cgroup.controllers'))) return { dir: mountPoint, isV2: true };
  for (const name of ['cpuacct', 'cpu,cpuacct']) {
    if (existsSync(join(mountPoint, name, 'cpuacct.usage')))
      return { dir: join(mountPoint, name), isV2: false };
  }
  throw new Error(`no cgroup hierarchy under ${mountPoint} counts CPU time: mount cpuacct there`);
}

export interface BenchCgroup {
  /** Folder whose `cgroup.procs` the daemon enters before it starts. */
  readonly daemonDir: string;
  /** `cgroup_parent` for pods. */
  readonly podParent: string;
  /** CPU seconds of the daemon and everything it started, without what moved into pods. */
  readDaemonCpuSeconds(): number;
  /** The same plus the pods: containers, and helpers that moved there. */
  readTotalCpuSeconds(): number;
  /** Processes of the daemon and of the pods, each with its cgroup's path below the benchmark's. */
  listProcesses(): readonly { readonly pid: number; readonly cgroup: string }[];
}

export class BenchCgroups {
  readonly #hierarchy = findHierarchy();
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  /** Makes the cgroups of one daemon. */
  create(daemon: string): BenchCgroup {
    const base = join(this.#hierarchy.dir, this.#name, daemon);
    const daemonDir = join(base, 'daemon');
    mkdirSync(daemonDir, { recursive: true });
    const readCpu = (dir: string) => (this.#hierarchy.isV2 ? readCpuV2(dir) : readCpuV1(dir));
    return {
      daemonDir,
      podParent: `/${this.#name}/${daemon}/pods`,
      readDaemonCpuSeconds: () => readCpu(daemonDir),
      readTotalCpuSeconds: () => readCpu(base),
      listProcesses: () => listTree(base),
    };
  }

  /** Processes left in any of our cgroups of any hierarchy. */
  listLeft(): number[] {
    const roots = this.#listRoots();
    return [...new Set(roots.flatMap((root) => listTree(root).map(({ pid }) => pid)))];
  }

  /** Removes every cgroup of ours in every hierarchy, where pods have left some too. Those still in use stay. */
  remove(): void {
    for (const root of this.#listRoots()) removeTree(root);
  }

  #listRoots(): string[] {
    const hierarchies = this.#hierarchy.isV2
      ? [mountPoint]
      : readdirSync(mountPoint).map((entry) => join(mountPoint, entry));
    return hierarchies.map((dir) => join(dir, this.#name)).filter((dir) => existsSync(dir));
  }
}

function readCpuV1(dir: string): number {
  return Number(readFileSync(join(dir, 'cpuacct.usage'), 'utf8')) / 1e9;
}

function readCpuV2(dir: string): number {
  const match = /^usage_usec (\d+)$/m.exec(readFileSync(join(dir, 'cpu.stat'), 'utf8'));
  return Number(match?.[1]) / 1e6;
}

function listChildren(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(dir, entry.name));
}

function listTree(dir: string): { pid: number; cgroup: string }[] {
  try {
    const own = readFileSync(join(dir, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
    return [...own.map((pid) => ({ pid, cgroup: dir })), ...listChildren(dir).flatMap(listTree)];
  } catch {
    // A container's cgroup went away while we looked.
    return [];
  }
}

function removeTree(dir: string): void {
  try {
    for (const child of listChildren(dir)) removeTree(child);
    rmdirSync(dir);
  } catch {
    // Busy or gone; what is busy shows as leftover processes, which are reported.
  }
}

/** Runs `args` in the cgroup: the shell enters it and becomes the program. */
export function commandInCgroup(dir: string, args: readonly string[]): string[] {
  return ['sh', '-c', 'echo $$ >"$0/cgroup.procs" && exec "$@"', dir, ...args];
}
