/**
 * Directories that a layer implies without describing them (`usr/bin/x` with no entry for `usr/bin`) exist in the layer's
 * directory all the same, and overlayfs would show their made-up metadata instead of the lower layer's. So they take mode,
 * owner, times and attributes from the nearest lower layer that shows the directory.
 */
import { chmodSync, lchownSync, lstatSync, readFileSync, rmSync } from 'node:fs';
import { setTimes } from '#host/file-metadata.ts';
import { findXattr, listXattrs, type PathBytes, setXattr } from '#host/xattr.ts';
import { join } from './layer-tree.ts';
import { opaqueXattr } from './layer-writer.ts';

function bytes(root: string, path: string): Buffer {
  const rootBytes = Buffer.from(root, 'utf8');
  return path === '' ? rootBytes : Buffer.concat([rootBytes, Buffer.from(`/${path}`, 'latin1')]);
}

/** What one layer says of a directory: it is there, it is hidden from here down, or nothing. */
function look(layer: string, path: string): 'here' | 'hidden' | 'nothing' {
  let current = '';
  let isOpaque = false;
  for (const component of path === '' ? [] : path.split('/')) {
    isOpaque ||= findXattr(bytes(layer, current), opaqueXattr)?.toString() === 'y';
    current = join(current, component);
    const stat = lstatSync(bytes(layer, current), { throwIfNoEntry: false });
    if (!stat) return isOpaque ? 'hidden' : 'nothing';
    // A whiteout, or something that is no directory: either way lower ones do not show through.
    if (!stat.isDirectory()) return 'hidden';
  }
  return 'here';
}

/** Copies mode, owner, times and extended attributes (but overlayfs's own) from one directory or file to another. */
export function copyMetadata(from: PathBytes, to: PathBytes): void {
  const stat = lstatSync(from, { bigint: true });
  lchownSync(to, Number(stat.uid), Number(stat.gid));
  for (const name of listXattrs(from)) {
    if (name.startsWith('trusted.overlay.')) continue;
    const value = findXattr(from, name);
    if (value) setXattr(to, name, value);
  }
  if (!stat.isSymbolicLink()) chmodSync(to, Number(stat.mode & 0o7777n));
  setTimes(to, fileTime(stat.atimeNs), fileTime(stat.mtimeNs));
}

/** Seconds and nanoseconds of a time in nanoseconds, also before the epoch. */
function fileTime(ns: bigint): { seconds: number; nanoseconds: number } {
  const nanoseconds = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { seconds: Number((ns - nanoseconds) / 1_000_000_000n), nanoseconds: Number(nanoseconds) };
}

/**
 * Gives the directories listed at `impliedPath` of the unpacked layer in `directory` the metadata they have in `lowerDirs`
 * (topmost first), and removes the list. One that no lower layer has keeps what it was made with. Synchronous.
 */
export function inheritMetadata(directory: string, impliedPath: string, lowerDirs: readonly string[]): void {
  // Parents before children or after makes no difference: setting metadata below a directory does not change its times.
  for (const path of JSON.parse(readFileSync(impliedPath, 'utf8')) as string[])
    for (const lower of lowerDirs) {
      const found = look(lower, path);
      if (found === 'here') copyMetadata(bytes(lower, path), bytes(directory, path));
      if (found !== 'nothing') break;
    }
  rmSync(impliedPath);
}
