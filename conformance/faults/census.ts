/** What there is on the machine of one daemon and its pods, counted, so that before and after can be compared. */
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { listMounts } from '#host/mount.ts';
import { listProcessesOf } from '#host/proc.ts';
import type { FaultBed } from './bed.ts';

export interface Census {
  readonly descriptors: number;
  readonly mounts: number;
  readonly 'network namespaces': number;
  readonly interfaces: number;
  readonly addresses: number;
  readonly processes: number;
  readonly cgroups: number;
  readonly 'state files': number;
}

function count(directory: string, isCounted: (name: string) => boolean = () => true): number {
  try {
    return readdirSync(directory).filter(isCounted).length;
  } catch {
    return 0; // not made, or gone with its last entry
  }
}

function countBelow(directory: string): number {
  try {
    // Not into root file systems: what containers write is theirs.
    return readdirSync(directory, { withFileTypes: true }).reduce(
      (sum, entry) =>
        sum +
        1 +
        (entry.isDirectory() && entry.name !== 'rootfs' ? countBelow(join(directory, entry.name)) : 0),
      0,
    );
  } catch {
    return 0; // went away while we looked
  }
}

export function takeCensus(bed: FaultBed): Census {
  const groups = readdirSync('/sys/fs/cgroup').map((name) => `/sys/fs/cgroup/${name}${bed.cgroupParent}`);
  return {
    descriptors: count(`/proc/${bed.pid}/fd`),
    mounts: listMounts().filter(({ mountPoint }) => mountPoint.startsWith(`${bed.dir}/`)).length,
    'network namespaces': count(bed.config.network.netnsDir, (name) => name.startsWith('berth-')),
    interfaces: count(`/sys/class/net/${bed.bridge}/brif`),
    addresses: count(bed.addressDir, (name) => /^[\d.]+$/.test(name)),
    processes: listProcessesOf(() => true).filter(
      ({ pid, command }) => pid !== bed.pid && command.some((word) => word.startsWith(`${bed.dir}/run/`)),
    ).length,
    cgroups: groups.reduce((sum, group) => sum + count(group, (name) => /[0-9a-f]{64}/.test(name)), 0),
    'state files': countBelow(bed.config.daemon.stateDir),
  };
}

/** What the daemon's open files are, sorted, numbers that differ from one to the next left out. */
export function describeDescriptors(bed: FaultBed): string[] {
  const directory = `/proc/${bed.pid}/fd`;
  return readdirSync(directory)
    .flatMap((fd) => {
      try {
        return [readlinkSync(join(directory, fd)).replace(/\d+|[0-9a-f]{12,}/g, '#')];
      } catch {
        return []; // closed meanwhile
      }
    })
    .toSorted();
}

const collectMs = 60_000;

/** Resident memory of the daemon after its garbage was collected, bytes. The daemon answers nobody meanwhile. */
export async function residentBytes(bed: FaultBed): Promise<number> {
  const done = `${bed.faultFile}.collected`;
  rmSync(done, { force: true });
  process.kill(bed.pid, 'SIGUSR2');
  for (const endMs = performance.now() + collectMs; !existsSync(done); await delay(20))
    if (performance.now() > endMs) throw new Error('the daemon did not collect its garbage');
  const status = readFileSync(`/proc/${bed.pid}/status`, 'latin1');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}
