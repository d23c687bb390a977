/** Control groups as the kernel shows them: which version, which controllers, what a group says of itself (cgroups(7)). */
import { existsSync, readdirSync, readFileSync, rmdirSync, statfsSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { sendSignal } from './launch.ts';

const CGROUP2_MAGIC = 0x63677270;
const mountRoot = '/sys/fs/cgroup';

export interface CgroupLayout {
  readonly version: 1 | 2;
  /** Controllers left on the unified mount of a hybrid host: crun refuses to run while there are any. */
  readonly strayControllers: readonly string[];
}

/** How control groups are mounted on this host. */
export function detectCgroupLayout(): CgroupLayout {
  if (statfsSync(mountRoot).type === CGROUP2_MAGIC) return { version: 2, strayControllers: [] };
  const unified = readText(join(mountRoot, 'unified/cgroup.controllers')) ?? '';
  return { version: 1, strayControllers: unified.split(/\s+/).filter((name) => name !== '') };
}

/** The text of a small kernel file; undefined if it cannot be read (the group may vanish at any time). */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined; // gone or not there in this version: the caller has no figure then
  }
}

/** Directory of the group `cgroup` (a path like /a/b/ID) in the hierarchy of `controller`; on v2 all are one. */
export function groupDirectory(version: 1 | 2, controller: string, cgroup: string): string {
  return version === 2 ? join(mountRoot, cgroup) : join(mountRoot, controller, cgroup);
}

/** Whether the swap of a group can be limited here. */
export function hasSwapController(version: 1 | 2): boolean {
  if (version === 1) return existsSync(join(mountRoot, 'memory/memory.memsw.limit_in_bytes'));
  // memory.swap.max does not exist in the root group: look in the first level below.
  try {
    return readdirSync(mountRoot, { withFileTypes: true }).some(
      (entry) => entry.isDirectory() && existsSync(join(mountRoot, entry.name, 'memory.swap.max')),
    );
  } catch {
    return false; // no cgroup file system at all
  }
}

/** Whether huge pages of a group can be limited here. */
export function hasHugetlbController(version: 1 | 2): boolean {
  if (version === 1) return existsSync(join(mountRoot, 'hugetlb'));
  return (readText(join(mountRoot, 'cgroup.controllers')) ?? '').split(/\s+/).includes('hugetlb');
}

/** How many processes of the group the kernel killed for want of memory. */
export function countOomKills(version: 1 | 2, cgroup: string): number {
  const directory = groupDirectory(version, 'memory', cgroup);
  const text =
    version === 2
      ? readText(join(directory, 'memory.events'))
      : readText(join(directory, 'memory.oom_control'));
  const match = /^oom_kill (\d+)$/m.exec(text ?? '');
  return match ? Number(match[1]) : 0;
}

function processesOf(directory: string): number[] {
  const own = (readText(join(directory, 'cgroup.procs')) ?? '').split('\n').filter((line) => line !== '');
  let names: string[] = [];
  try {
    names = readdirSync(directory, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [entry.name] : [],
    );
  } catch {
    return own.map(Number); // the group is gone: nothing below it
  }
  return [...own.map(Number), ...names.flatMap((name) => processesOf(join(directory, name)))];
}

/** Pids in the group and in groups below it. Empty when the group is gone. */
export function listGroupProcesses(version: 1 | 2, cgroup: string): number[] {
  return processesOf(groupDirectory(version, 'pids', cgroup));
}

/** Kills every process in the group and below it, once; processes that fork meanwhile need another call on v1. */
export function killGroup(version: 1 | 2, cgroup: string): void {
  if (version === 2) {
    try {
      writeFileSync(join(groupDirectory(2, '', cgroup), 'cgroup.kill'), '1');
      return;
    } catch {
      // Linux before 5.14 has no cgroup.kill; the group may also be gone. The walk serves both.
    }
  }
  for (const pid of listGroupProcesses(version, cgroup)) sendSignal(pid, constants.signals.SIGKILL);
}

/** Removes an empty group in every hierarchy, with empty groups below it. Idempotent; false if something still lives in it. */
export function removeGroup(version: 1 | 2, cgroup: string): boolean {
  // On a hybrid host the OCI runtimes make one in the unified hierarchy as well.
  const hierarchies = version === 2 ? [''] : readdirSync(mountRoot);
  let isGone = true;
  for (const hierarchy of hierarchies) {
    const directory = version === 2 ? join(mountRoot, cgroup) : join(mountRoot, hierarchy, cgroup);
    if (existsSync(directory)) isGone = removeTree(directory) && isGone;
  }
  return isGone;
}

/** Whether a group itself is to stand still, whatever is with those above it; undefined where that cannot be read. */
export function isGroupFrozen(version: 1 | 2, cgroup: string): boolean | undefined {
  const directory = groupDirectory(version, 'freezer', cgroup);
  const text = readText(join(directory, version === 2 ? 'cgroup.freeze' : 'freezer.self_freezing'));
  return text === undefined ? undefined : text.trim() === '1';
}

/**
 * Lets a group go that somebody has frozen: on v1 a frozen process does not even die. Does nothing for a group that is not
 * frozen by itself or that is gone.
 */
export function thawGroup(version: 1 | 2, cgroup: string): void {
  const [name, frozen, thawed] =
    version === 2 ? ['cgroup.freeze', /^1/, '0'] : ['freezer.state', /^FR/, 'THAWED'];
  const file = join(groupDirectory(version, 'freezer', cgroup), name);
  if (!frozen.test(readText(file) ?? '')) return;
  try {
    writeFileSync(file, thawed);
  } catch {
    // It went away since.
  }
}

const clearPauseMs = 20;

/**
 * Kills what lives in a group and removes it, in every hierarchy. Idempotent; false if something is left after `patienceMs`
 * (a process in uninterruptible sleep).
 */
export async function clearGroup(version: 1 | 2, cgroup: string, patienceMs = 5000): Promise<boolean> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    if (removeGroup(version, cgroup)) return true;
    if (performance.now() > deadline) return false;
    killGroup(version, cgroup);
    // The kernel tells nobody on v1 when a group has become empty.
    await delay(clearPauseMs);
  }
}

function removeTree(directory: string): boolean {
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true }))
      if (entry.isDirectory()) removeTree(join(directory, entry.name));
    rmdirSync(directory);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === 'ENOENT';
  }
}
