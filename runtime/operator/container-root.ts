/**
 * Paths in the root of a container that may run and change what stands there meanwhile. Every step is taken by openat2 within
 * that root (`#host/rooted.ts`), so that no link leads out, whoever made it and when.
 */
import { closeSync, constants, lstatSync, readlinkSync } from 'node:fs';
import { posix } from 'node:path';
import { RuntimeError } from '#base/errors.ts';
import { O_PATH, openInRoot } from '#host/rooted.ts';
import type { PathStat } from './contract.ts';

/** As many links in a row as the kernel follows. */
const mostLinks = 40;

/** A place in the root: a folder that is held open, and a name in it. */
export interface Place {
  /** Of the folder. The caller closes it. */
  readonly fd: number;
  /** One component; `.` for the folder itself. */
  readonly name: string;
}

/** A path of this process that reaches the folder behind a descriptor, or `name` in it. */
export function pathOf(fd: number, name = '.'): string {
  return `/proc/self/fd/${fd}/${name}`;
}

/** Opens the folder that holds `path`. Throws SystemCallError (ENOENT, ENOTDIR, ELOOP). */
export function openPlace(root: string, path: string, followLink: boolean): Place {
  let wanted = path;
  for (let links = 0; links <= mostLinks; links += 1) {
    const trimmed = wanted.replace(/\/+(\.?\/+)*\.?$/, '') || '/';
    const name = posix.basename(trimmed);
    const isWhole = name === '' || name === '.' || name === '..' || trimmed !== wanted;
    const folder = isWhole && isFolder(root, trimmed) ? trimmed : posix.dirname(trimmed);
    const fd = openInRoot(root, folder, O_PATH | constants.O_DIRECTORY);
    if (folder === trimmed) return { fd, name: '.' };
    const target = followLink ? linkTarget(pathOf(fd, name)) : undefined;
    if (target === undefined) return { fd, name };
    closeSync(fd);
    // Not normalised: `..` behind a link is what the kernel says it is.
    wanted = target.startsWith('/') ? target : `${posix.dirname(trimmed)}/${target}`;
  }
  throw new RuntimeError('FailedPrecondition', `${path} leads through too many links`);
}

function isFolder(root: string, path: string): boolean {
  try {
    closeSync(openInRoot(root, path, O_PATH | constants.O_DIRECTORY));
    return true;
  } catch {
    return false; // it is missing, or something else: the caller looks at it by its name
  }
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // it is no link, or is not there
  }
}

/** What is at a path; undefined for nothing. Throws FailedPrecondition. */
export function statInRoot(root: string, path: string, followLink: boolean): PathStat | undefined {
  let place: Place;
  try {
    place = openPlace(root, path, followLink);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as { code?: string }).code ?? '')) return undefined;
    throw error;
  }
  try {
    const full = pathOf(place.fd, place.name);
    const stat = lstatSync(full, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    const type = stat.isDirectory()
      ? 'directory'
      : stat.isSymbolicLink()
        ? 'symlink'
        : stat.isFile()
          ? 'file'
          : 'other';
    return {
      type,
      mode: stat.mode & 0o7777,
      sizeBytes: stat.size,
      linkTarget: stat.isSymbolicLink() ? readlinkSync(full) : '',
    };
  } finally {
    closeSync(place.fd);
  }
}
