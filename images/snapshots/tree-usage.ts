/** How much a directory tree occupies, found without holding up the event loop. */
import { type Dir, lstatSync, opendirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as breathe } from 'node:timers/promises';
import { errnoOf } from '#base/errors.ts';
import type { SnapshotUsage } from './snapshotter.ts';

/** Synchronous calls are several times cheaper than asynchronous ones, so they come in bursts no longer than this. */
const burstMs = 2;

/** Opens a directory; undefined if it is gone, or its name is no UTF-8 and so cannot be spelled. */
function open(directory: string): Dir | undefined {
  try {
    return opendirSync(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Blocks and inodes of a tree, each inode once. Files that vanish meanwhile are left out; a missing tree is empty. */
export async function measureTree(root: string): Promise<SnapshotUsage> {
  const seen = new Set<number>();
  let usedBytes = 0;
  let inodesUsed = 0;
  let burstEndMs = performance.now() + burstMs;
  const count = (path: string): boolean => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (!stat) return false;
    if (stat.nlink > 1 && !stat.isDirectory()) {
      if (seen.has(stat.ino)) return false;
      seen.add(stat.ino);
    }
    usedBytes += stat.blocks * 512;
    inodesUsed += 1;
    return stat.isDirectory();
  };
  const queue = count(root) ? [root] : [];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const directory = open(path);
    if (!directory) continue;
    try {
      for (let entry = directory.readSync(); entry; entry = directory.readSync()) {
        const child = join(path, entry.name);
        if (count(child)) queue.push(child);
        if (performance.now() < burstEndMs) continue;
        await breathe();
        burstEndMs = performance.now() + burstMs;
      }
    } finally {
      directory.closeSync();
    }
  }
  return { usedBytes, inodesUsed };
}

/** Whether a tree has at most `most` entries; looks at no more than that many. */
export function isSmallTree(root: string, most: number): boolean {
  let left = most;
  const queue = [root];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const directory = open(path);
    if (!directory) return false;
    try {
      for (let entry = directory.readSync(); entry; entry = directory.readSync()) {
        left -= 1;
        if (left < 0) return false;
        if (entry.isDirectory()) queue.push(join(path, entry.name));
      }
    } finally {
      directory.closeSync();
    }
  }
  return true;
}
