/** A cgroup of the run's own that the kubelet takes for the root, in every hierarchy there is. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const mountPoint = '/sys/fs/cgroup';

export interface NodeCgroup {
  /** As the kubelet's `cgroupRoot` has it: `/berth-e2e-...`. */
  readonly name: string;
  /** Whether this machine has one unified hierarchy. */
  readonly isUnified: boolean;
  /** Folder of a cgroup below a controller's hierarchy (the controller is ignored on a unified one). */
  folder(controller: string, path: string): string;
  /** Makes it, if it is not there. */
  make(): void;
  /** Sends SIGKILL to everything that runs in it or below. */
  killAll(): void;
  /** Removes it with all that is below; throws while anything runs there. Idempotent. */
  remove(): void;
}

export function makeNodeCgroup(name: string): NodeCgroup {
  const isUnified = existsSync(join(mountPoint, 'cgroup.controllers'));
  const hierarchies = isUnified
    ? [mountPoint]
    : readdirSync(mountPoint).map((controller) => join(mountPoint, controller));
  const make = (): void => {
    for (const hierarchy of hierarchies) {
      mkdirSync(join(hierarchy, name), { recursive: true });
      if (isUnified) enableControllers(hierarchy, name);
      // A new cpuset of cgroup v1 holds no processor and takes no process.
      for (const file of ['cpuset.cpus', 'cpuset.mems']) {
        const target = join(hierarchy, name, file);
        if (!isUnified && existsSync(target)) writeFileSync(target, readFileSync(join(hierarchy, file)));
      }
    }
  };
  make();
  return {
    make,
    killAll: () => {
      for (const hierarchy of hierarchies) killTree(join(hierarchy, name));
    },
    name,
    isUnified,
    folder: (controller, path) => join(mountPoint, isUnified ? '' : controller, path),
    remove: () => {
      for (const hierarchy of hierarchies) removeTree(join(hierarchy, name));
    },
  };
}

function enableControllers(hierarchy: string, name: string): void {
  const all = readFileSync(join(hierarchy, 'cgroup.controllers'), 'utf8').trim().split(' ');
  const wanted = all.map((controller) => `+${controller}`).join(' ');
  for (const dir of [hierarchy, join(hierarchy, name)])
    writeFileSync(join(dir, 'cgroup.subtree_control'), wanted);
}

function subfolders(dir: string): string[] {
  if (!existsSync(dir)) return [];
  const entries = readdirSync(dir, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(dir, entry.name));
}

function killTree(dir: string): void {
  if (!existsSync(dir)) return;
  for (const child of subfolders(dir)) killTree(child);
  for (const pid of readFileSync(join(dir, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It ended by itself, or through another hierarchy.
    }
  }
}

function removeTree(dir: string): void {
  for (const child of subfolders(dir)) removeTree(child);
  if (existsSync(dir)) rmdirSync(dir);
}
