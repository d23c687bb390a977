import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Finding } from '#base/finding.ts';
import { groupDirectory, listGroupProcesses } from '#host/cgroup.ts';
import { isRunning, listProcessesOf } from '#host/proc.ts';
import { cgroupLocation } from '../container/cgroup-location.ts';
import { cgroupsPath } from '../spec/cgroups-path.ts';
import { type AuditInput, idIn, isLiveContainer, isSettledSandbox, Owners } from './machine.ts';

const ourPrograms = new Set(['conmon', 'crun', 'runc']);

/** Monitors, OCI runtimes and containers' processes: each belongs to a live container, and each live container has its own. */
export function auditProcesses(input: AuditInput): Finding[] {
  return [...findLeakedProcesses(input), ...findMissingProcesses(input), ...auditCgroups(input)];
}

/** A program is ours if its command line names our state directory: other runtimes use the same programs. */
function findLeakedProcesses(input: AuditInput): Finding[] {
  const owners = new Owners(input);
  const mark = `${input.paths.roots.state}/`;
  return listProcessesOf((path) => ourPrograms.has(basename(path))).flatMap(({ pid, command }) => {
    if (!command.some((word) => word.startsWith(mark))) return [];
    const ids = command.flatMap((word) => idIn(word) || []);
    if (ids.length === 0 || ids.some((id) => owners.mayLive(id))) return [];
    const path = `${pid} ${basename(command[0]!)}`;
    return [{ kind: 'leak', what: 'process', id: ids[0]!, path, mend: `kill -9 ${pid}` } as const];
  });
}

function findMissingProcesses({ sandboxes, containers }: AuditInput): Finding[] {
  const missing = (what: string, id: string, pid: number | undefined, mend: string): Finding => ({
    kind: 'missing',
    what,
    id,
    path: String(pid ?? 'never known'),
    mend,
  });
  const ofContainers = containers
    .filter(isLiveContainer)
    .flatMap(({ id, process, monitor }) => [
      ...(process && isRunning(process) ? [] : [missing('process', id, process?.pid, 'stop the container')]),
      ...(monitor && isRunning(monitor)
        ? []
        : [missing('monitor', id, monitor?.pid, 'its log has ended: restart the container')]),
    ]);
  const inits = sandboxes.flatMap(({ init, id, ...record }) =>
    init && isSettledSandbox({ init, id, ...record }) && !isRunning(init)
      ? [missing('sandbox init', id, init.pid, 'stop the sandbox')]
      : [],
  );
  return [...ofContainers, ...inits];
}

/** Cgroups named after a container, below every parent that a record or the caller names and below the kubelet's. */
function auditCgroups(input: AuditInput): Finding[] {
  const { containers, sandboxes, cgroupVersion } = input;
  const owners = new Owners(input);
  const parents = new Set([
    ...containers.flatMap(({ cgroupsPath: path }) => (path === '' ? [] : [dirname(cgroupLocation(path))])),
    ...sandboxes.flatMap(({ config, id }) => parentOf(config.cgroupParent, id) ?? []),
    ...input.cgroupParents,
    ...kubeletGroups(cgroupVersion),
  ]);
  const leaks = [...parents].flatMap((parent) =>
    listGroups(cgroupVersion, parent).flatMap((name) => {
      const id = containerOf(name);
      if (id === '' || owners.mayLive(id)) return [];
      const group = join(parent, name);
      const count = listGroupProcesses(cgroupVersion, group).length;
      const mend = count > 0 ? `kill its ${count} processes, then rmdir it` : 'rmdir it';
      return [{ kind: 'leak', what: 'cgroup', id, path: group, mend } as const];
    }),
  );
  const missing = containers
    .filter((record) => isLiveContainer(record) && record.cgroupsPath !== '')
    .flatMap(({ id, cgroupsPath: path }): Finding[] => {
      const group = cgroupLocation(path);
      if (listGroupProcesses(cgroupVersion, group).length > 0) return [];
      return [{ kind: 'missing', what: 'cgroup', id, path: group, mend: 'stop the container' }];
    });
  return [...leaks, ...missing];
}

function parentOf(cgroupParent: string, id: string): string | undefined {
  const driver = cgroupParent.endsWith('.slice') ? 'systemd' : 'cgroupfs';
  try {
    return dirname(cgroupLocation(cgroupsPath(driver, cgroupParent, id)));
  } catch {
    return undefined; // a damaged record may name anything
  }
}

function containerOf(name: string): string {
  return /^(?:berth-)?([0-9a-f]{64})(?:\.scope)?$/.exec(name)?.[1] ?? '';
}

/** Names of the groups right below `parent`, from all hierarchies. */
function listGroups(version: 1 | 2, parent: string): string[] {
  const names = new Set<string>();
  for (const hierarchy of version === 2 ? [''] : readdirSync('/sys/fs/cgroup')) {
    try {
      for (const entry of readdirSync(groupDirectory(version, hierarchy, parent), { withFileTypes: true }))
        if (entry.isDirectory()) names.add(entry.name);
    } catch {
      // this hierarchy does not have the parent
    }
  }
  return [...names];
}

/** The kubelet's groups of pods: kubepods, its quality classes and the pods in them. */
function kubeletGroups(version: 1 | 2): string[] {
  const found: string[] = [];
  const walk = (group: string, depth: number): void => {
    found.push(group);
    if (depth === 0) return;
    for (const name of listGroups(version, group))
      if (containerOf(name) === '') walk(join(group, name), depth - 1);
  };
  for (const name of listGroups(version, '/')) if (/^kubepods/.test(name)) walk(`/${name}`, 2);
  return found;
}
