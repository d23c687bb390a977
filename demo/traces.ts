/**
 * What of a pod can be seen on the host, found by the ids of its sandbox and containers alone: the ids are random, so
 * whatever carries one is the pod's, and what others do on the machine at the same time is not counted.
 */
import { type Dirent, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface PodIdentity {
  /** Sandbox and container ids. */
  readonly ids: readonly string[];
  /** Interface index of the host's end of the pod's link; undefined while it is unknown. */
  readonly linkIndex: number | undefined;
  /** Folders in which a runtime keeps its files. */
  readonly dirs: readonly string[];
}

export const traceKinds = ['processes', 'mounts', 'namespaces', 'interfaces', 'cgroups', 'files'] as const;
export type Traces = Readonly<Record<(typeof traceKinds)[number], readonly string[]>>;

/** File names carry an id whole or cut, never to less than this. */
const idPrefixLength = 12;

export function findTraces(pod: PodIdentity): Traces {
  const marks = pod.ids.map((id) => id.slice(0, idPrefixLength));
  const isOurs = (text: string): boolean => marks.some((mark) => text.includes(mark));
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter(isOurs);
  const isPin = (line: string): boolean => line.includes(' - nsfs ');
  const placeOf = (line: string): string => line.split(' ')[4] ?? line;
  return {
    processes: listProcesses(isOurs),
    mounts: mounts.filter((line) => !isPin(line)).map(placeOf),
    // By the place of their pin, not by their number, which the kernel soon gives to another.
    namespaces: mounts.filter(isPin).map(placeOf),
    interfaces: listNames('/sys/class/net').filter((name) => readIndex(name) === pod.linkIndex),
    cgroups: findNamed('/sys/fs/cgroup', isOurs),
    files: pod.dirs.flatMap((dir) => findNamed(dir, isOurs)),
  };
}

function listPids(): string[] {
  return listNames('/proc').filter((name) => /^\d+$/.test(name));
}

/** `PID NAME` of every process whose command line or cgroup carries an id. */
function listProcesses(isOurs: (text: string) => boolean): string[] {
  return listPids().flatMap((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      const cgroup = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
      if (!isOurs(command) && !isOurs(cgroup)) return [];
      return [`${pid} ${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()}`];
    } catch {
      return []; // it ended while we looked
    }
  });
}

function listNames(dir: string): string[] {
  return listEntries(dir).map(({ name }) => name);
}

function readIndex(name: string): number | undefined {
  try {
    return Number(readFileSync(join('/sys/class/net', name, 'ifindex'), 'utf8'));
  } catch {
    // bonding_masters is a file among the interfaces; others may vanish while we look.
    return undefined;
  }
}

/** The topmost paths below `dir` whose name is a match; what is inside a match belongs to it. */
function findNamed(dir: string, isMatch: (name: string) => boolean): string[] {
  return listEntries(dir).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (isMatch(entry.name)) return [path];
    return entry.isDirectory() ? findNamed(path, isMatch) : [];
  });
}

function listEntries(dir: string): Dirent[] {
  try {
    return readdirSync(dir, { withFileTypes: true });
  } catch {
    // There is no such folder, or it went away while we looked.
    return [];
  }
}
