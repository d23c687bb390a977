/** What a container changed in its root file system: read from its writable directory, put into that of another. */
import { closeSync, constants, rmSync } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { errnoOf } from '#base/errors.ts';
import { O_PATH, openInRoot } from '#host/rooted.ts';
import { findXattr } from '#host/xattr.ts';
import type { Snapshot } from '#images/contract.ts';

/** An OCI layer's way to say "removed" (image-spec layer.md), which some runtimes use in their archives. */
const whiteoutPrefix = '.wh.';

export interface RootfsChanges {
  /** Relative to the root, parents before children. */
  readonly changed: readonly string[];
  /** Absolute inside the container. */
  readonly deleted: readonly string[];
}

/**
 * Lists what is in the writable directory of an overlay, but for what stands at `mountTargets`, which others make.
 * Asynchronous: it may be a tree of a million files.
 */
export async function listChanges(
  snapshot: Pick<Snapshot, 'lowerDirs'> & { readonly upperDir: string },
  mountTargets: ReadonlySet<string>,
): Promise<RootfsChanges> {
  const changed: string[] = [];
  const deleted: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    const entries = await readdir(join(snapshot.upperDir, folder), { withFileTypes: true });
    for (const entry of entries) {
      const path = posix.join(folder, entry.name);
      if (mountTargets.has(path)) continue;
      if (entry.isCharacterDevice() && (await lstat(join(snapshot.upperDir, path))).rdev === 0) {
        deleted.push(path);
        continue;
      }
      changed.push(path.slice(1));
      if (!entry.isDirectory()) continue;
      const isOpaque =
        findXattr(join(snapshot.upperDir, path), 'trusted.overlay.opaque')?.toString('latin1') === 'y';
      if (isOpaque) deleted.push(...(await hiddenBelow(snapshot, path)));
      await walk(path);
    }
  };
  await walk('/');
  return { changed, deleted: [...new Set(deleted)] };
}

/** Names that an opaque folder hides and does not have itself. */
async function hiddenBelow(
  snapshot: Pick<Snapshot, 'lowerDirs'> & { readonly upperDir: string },
  folder: string,
): Promise<string[]> {
  const own = new Set(await readdir(join(snapshot.upperDir, folder)));
  const hidden = new Set<string>();
  for (const layer of snapshot.lowerDirs) {
    const names = await readdir(join(layer, folder)).catch((error: unknown) => {
      if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return []; // the layer has nothing there
      throw error;
    });
    for (const name of names) if (!own.has(name)) hidden.add(posix.join(folder, name));
  }
  return [...hidden];
}

/** Takes the whiteouts of an OCI layer out of an unpacked archive. Returns the paths that they stand for. */
export async function takeWhiteouts(upperDir: string): Promise<string[]> {
  const found: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    for (const entry of await readdir(join(upperDir, folder), { withFileTypes: true })) {
      const path = posix.join(folder, entry.name);
      if (entry.isDirectory()) await walk(path);
      else if (entry.name.startsWith(whiteoutPrefix) && !entry.name.startsWith('.wh..wh.')) {
        rmSync(join(upperDir, path));
        found.push(posix.join(folder, entry.name.slice(whiteoutPrefix.length)));
      }
    }
  };
  await walk('/');
  return found;
}

/** Removes paths below a mounted root file system, links in their parents confined to it. What is not there is passed over. */
export function removeInRoot(rootfs: string, paths: readonly string[]): void {
  for (const path of paths) {
    const clean = posix.join('/', path);
    if (clean === '/') continue;
    let fd: number;
    try {
      fd = openInRoot(rootfs, posix.dirname(clean), O_PATH | constants.O_DIRECTORY);
    } catch (error) {
      if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) continue; // its parent is not there
      throw error;
    }
    try {
      rmSync(`/proc/self/fd/${fd}/${posix.basename(clean)}`, { recursive: true, force: true });
    } finally {
      closeSync(fd);
    }
  }
}
