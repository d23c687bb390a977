/**
 * Paths of the host that a client names. They may lie on a file system that does not answer, such as that of a server which is
 * gone: whoever looks a name up there sleeps, and cannot be woken. So the daemon itself looks up only what the kernel has in its
 * cache (openat2(2), RESOLVE_CACHED, Linux 5.12); for everything else, and to make a folder, a program is sent.
 */
import { closeSync, readlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import { abortError, RuntimeError } from '#base/errors.ts';
import { describeStatus, run, succeeded } from './launch.ts';
import { openCached } from './rooted.ts';

const script = `umask 022
readlink -ne -- "$1" || { mkdir -p -- "$1" && readlink -ne -- "$1"; }`;

/** What the kernel appends to the name of something that was removed; a real name may end alike, which the program decides. */
const removedMark = ' (deleted)';

/** The path without links of what is at `path`, if the kernel knows it without asking a file system. */
function findCached(path: string): string | undefined {
  let fd: number;
  try {
    fd = openCached(path);
  } catch {
    return undefined; // not in the cache, not there, or an older kernel: the program finds out
  }
  try {
    const found = readlinkSync(`/proc/self/fd/${fd}`);
    return found.startsWith('/') && !found.endsWith(removedMark) ? found : undefined;
  } finally {
    closeSync(fd);
  }
}

/** A program in uninterruptible sleep outlives its kill: nobody waits for that. */
async function whileWanted<T>(work: Promise<T>, signal: AbortSignal, what: string): Promise<T> {
  const given = Promise.withResolvers<never>();
  const giveUp = () => given.reject(abortError(signal, what));
  if (signal.aborted) giveUp();
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    return await Promise.race([work, given.promise]);
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

/**
 * Follows the links of a path, when `..` and slashes in it have been resolved by its text; what is missing is made as a folder with
 * mode 0755. `sh` is the path of a shell. Throws InvalidArgument with the reason in words where that cannot be, Canceled or
 * DeadlineExceeded at once when `signal` aborts.
 */
export async function ensureHostPath(named: string, sh: string, signal: AbortSignal): Promise<string> {
  const path = resolve(named);
  const cached = findCached(path);
  if (cached !== undefined) return cached;
  const result = await whileWanted(
    run({ path: sh, args: ['-c', script, 'look-up', path], signal }),
    signal,
    `looking up ${path}`,
  );
  if (succeeded(result.status)) return result.stdout.toString();
  const words = result.stderr.toString().trim() || describeStatus(result.status);
  throw new RuntimeError('InvalidArgument', `${path} is not there and cannot be made: ${words}`);
}
