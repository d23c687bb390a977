/**
 * What a writable directory changes of the layers below it, as a walk in the order of names: in the form of overlayfs, where
 * the directory holds the changes alone (kernel documentation, filesystems/overlayfs), or as a whole tree compared with the one
 * below. Synchronous: for the layer process. Paths are relative, '' being the root, bytes as latin1.
 */
import { type BigIntStats, closeSync, constants, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { errnoOf, RuntimeError } from '#base/errors.ts';
import { openWithoutLinks } from '#host/rooted.ts';
import { findXattr } from '#host/xattr.ts';
import { join } from '../unpack/layer-tree.ts';
import { opaqueXattr } from '../unpack/layer-writer.ts';
import { shown } from '../unpack/tar-header.ts';

export interface ChangedTree {
  /** How the directory holds its changes. */
  readonly form: 'overlay' | 'whole';
  readonly directory: string;
  /** What lies below, topmost first; of a whole tree only the first counts. */
  readonly lowerDirs: readonly string[];
  /** Paths to leave out with everything below them: what mounts were made on. */
  readonly excluded: readonly string[];
}

export interface Change {
  readonly kind: 'added' | 'changed' | 'deleted';
  readonly path: string;
  /** Undefined for what is deleted. */
  readonly stat: BigIntStats | undefined;
  /** A directory that shows nothing of a lower one of its name. */
  readonly isOpaque: boolean;
}

/** The bytes of `path` below `root`, for a system call. */
export function pathBytes(root: string, path: string): Buffer {
  const start = Buffer.from(root, 'utf8');
  return path === '' ? start : Buffer.concat([start, Buffer.from(`/${path}`, 'latin1')]);
}

function find(root: string, path: string): BigIntStats | undefined {
  try {
    return lstatSync(pathBytes(root, path), { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined; // a parent is no directory there
  }
}

const isWhiteout = (stat: BigIntStats): boolean => stat.isCharacterDevice() && stat.rdev === 0n;

function hasOpaque(root: string, path: string): boolean {
  return findXattr(pathBytes(root, path), opaqueXattr)?.toString('latin1') === 'y';
}

/**
 * A descriptor of what is at `path` below `root`; undefined if it went meanwhile, or if a link came into the place of a folder
 * above it: a container that runs on while its tree is walked must not lead the walk out of it.
 */
export function openInTree(root: string, path: string, flags: number): number | undefined {
  try {
    return openWithoutLinks(root, Buffer.from(path, 'latin1'), flags);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

function namesIn(root: string, path: string): string[] {
  const fd = openInTree(root, path, constants.O_RDONLY | constants.O_DIRECTORY);
  if (fd === undefined) return [];
  try {
    return readdirSync(`/proc/self/fd/${fd}`, 'latin1').sort();
  } finally {
    closeSync(fd);
  }
}

/** The changes, parents before what is in them. Throws FailedPrecondition for a directory that overlayfs has redirected. */
export function* listTreeChanges(tree: ChangedTree): Generator<Change> {
  const excluded = new Set(tree.excluded.map((path) => Buffer.from(path, 'utf8').toString('latin1')));
  const root = find(tree.directory, '');
  if (root && isOddRoot(root, tree.lowerDirs[0]))
    yield { kind: 'changed', path: '', stat: root, isOpaque: false };
  if (tree.form === 'overlay') yield* overlayChanges(tree, excluded, '', tree.lowerDirs);
  else yield* wholeChanges(tree.directory, tree.lowerDirs[0], excluded, '');
}

/** Whether the root itself is other than the one below, or than one that nothing is said of. */
function isOddRoot(root: BigIntStats, lower: string | undefined): boolean {
  const below = lower === undefined ? undefined : find(lower, '');
  const { mode, uid, gid } = below ?? { mode: 0o755n, uid: 0n, gid: 0n };
  return (root.mode & 0o7777n) !== (mode & 0o7777n) || root.uid !== uid || root.gid !== gid;
}

/** `lowers` are those that show through at `folder`. */
function* overlayChanges(
  tree: ChangedTree,
  excluded: ReadonlySet<string>,
  folder: string,
  lowers: readonly string[],
): Generator<Change> {
  for (const name of namesIn(tree.directory, folder)) {
    const path = join(folder, name);
    if (excluded.has(path)) continue;
    const stat = find(tree.directory, path);
    if (!stat) continue; // it went while a container runs
    const below = lookBelow(lowers, path);
    if (isWhiteout(stat)) {
      if (below.stat) yield { kind: 'deleted', path, stat: undefined, isOpaque: false };
      continue;
    }
    if (!stat.isDirectory()) {
      yield { kind: below.stat ? 'changed' : 'added', path, stat, isOpaque: false };
      continue;
    }
    if (findXattr(pathBytes(tree.directory, path), 'trusted.overlay.redirect') !== undefined)
      throw new RuntimeError(
        'FailedPrecondition',
        `${shown(path)} was renamed with overlayfs's redirect_dir on, which no layer can hold: turn it off`,
      );
    const isOpaque = below.stat?.isDirectory() === true && hasOpaque(tree.directory, path);
    yield { kind: below.stat ? 'changed' : 'added', path, stat, isOpaque };
    const through = below.stat?.isDirectory() && !isOpaque ? below.lowers : [];
    yield* overlayChanges(tree, excluded, path, through);
  }
}

/** What the layers below show at `path`, and those of them that show through there if it is a directory. */
function lookBelow(
  lowers: readonly string[],
  path: string,
): { stat: BigIntStats | undefined; lowers: readonly string[] } {
  const showing: string[] = [];
  let top: BigIntStats | undefined;
  for (const lower of lowers) {
    const stat = find(lower, path);
    if (!stat) continue;
    if (isWhiteout(stat)) break;
    if (!stat.isDirectory()) {
      top ??= stat;
      break;
    }
    top ??= stat;
    showing.push(lower);
    if (hasOpaque(lower, path)) break;
  }
  return { stat: top, lowers: showing };
}

function* wholeChanges(
  upper: string,
  lower: string | undefined,
  excluded: ReadonlySet<string>,
  folder: string,
): Generator<Change> {
  const own = namesIn(upper, folder);
  const lowerStat = lower === undefined ? undefined : find(lower, folder);
  const before = lower !== undefined && lowerStat?.isDirectory() ? namesIn(lower, folder) : [];
  for (const name of [...new Set([...own, ...before])].sort()) {
    const path = join(folder, name);
    if (excluded.has(path)) continue;
    const stat = find(upper, path);
    const old = lower === undefined ? undefined : find(lower, path);
    if (!stat) {
      if (old) yield { kind: 'deleted', path, stat: undefined, isOpaque: false };
      continue;
    }
    if (!old) yield { kind: 'added', path, stat, isOpaque: false };
    else if (!isSame(stat, old, pathBytes(upper, path), pathBytes(lower!, path)))
      yield { kind: 'changed', path, stat, isOpaque: false };
    if (stat.isDirectory())
      yield* wholeChanges(upper, old?.isDirectory() ? lower : undefined, excluded, path);
  }
}

/** By their metadata: a content changed without a trace in size and times is not found. */
function isSame(a: BigIntStats, b: BigIntStats, aPath: Buffer, bPath: Buffer): boolean {
  const isAlike = a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && a.rdev === b.rdev;
  if (!isAlike) return false;
  if (a.isSymbolicLink()) return readlinkSync(aPath, 'latin1') === readlinkSync(bPath, 'latin1');
  return a.isDirectory() || (a.size === b.size && a.mtimeNs === b.mtimeNs);
}
