/**
 * Namespaces pinned to files, so that they live without a process. They are made by a launched program: unshare(2) and
 * setns(2) change the calling thread, and the daemon's threads must stay where they are.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { abortError, messageOf, RuntimeError } from '#base/errors.ts';
import { collect, describeStatus, type Launched, launch, type RunResult, run, succeeded } from './launch.ts';
import { bindMount, coveringMount, listMounts, MS_PRIVATE, setPropagation, unmountAll } from './mount.ts';
import { IFF_UP, linkAttributes, linkHeader, messageTypes, textAttribute } from './netlink.ts';
import { RouteSocket } from './rtnetlink.ts';

export { isNamespacePin } from './mount.ts';

/** One range of a user namespace, as in /proc/PID/uid_map (user_namespaces(7)). */
export interface IdRange {
  readonly containerId: number;
  readonly hostId: number;
  readonly length: number;
}

export interface PinRequest {
  /** Where to pin; an absent path means that the namespace is not made. */
  readonly netPath?: string;
  readonly ipcPath?: string;
  readonly utsPath?: string;
  /** A user namespace that owns the others. */
  readonly user?: {
    readonly path: string;
    readonly uids: readonly IdRange[];
    readonly gids: readonly IdRange[];
  };
  /** Set in the new UTS namespace; '' leaves the node's. */
  readonly hostname: string;
  /** Files below /proc/sys and their values, written in the new namespaces. */
  readonly sysctls: Readonly<Record<string, string>>;
}

export interface PinPrograms {
  readonly unshare: string;
  readonly nsenter: string;
  readonly sh: string;
}

// Values arrive as arguments: nothing is quoted.
const script = `set -e
if [ -n "$1" ]; then printf '%s' "$1" > /proc/sys/kernel/hostname; fi
shift
while [ $# -gt 1 ]; do
  printf '%s' "$2" > "/proc/sys/$1" || { echo "sysctl $1=$2 refused" >&2; exit 1; }
  shift 2
done`;

const timeoutMs = 60_000;

function namespaceFlags(request: PinRequest): [flag: string, kind: string, path: string][] {
  const all: [string, string, string | undefined][] = [
    ['--user', 'user', request.user?.path],
    ['--net', 'net', request.netPath],
    ['--ipc', 'ipc', request.ipcPath],
    ['--uts', 'uts', request.utsPath],
  ];
  return all.flatMap(([flag, kind, path]) =>
    path === undefined ? [] : [[flag, kind, path] as [string, string, string]],
  );
}

function scriptArgs(request: PinRequest): string[] {
  return [
    '-c',
    script,
    'berth-pin',
    request.utsPath === undefined ? '' : request.hostname,
    ...Object.entries(request.sysctls).flat(),
  ];
}

function failure(result: RunResult): RuntimeError {
  const words = result.stderr.toString().trim();
  const kind = words.includes('sysctl') ? 'InvalidArgument' : 'Internal';
  return new RuntimeError(kind, `making namespaces: ${words || describeStatus(result.status)}`);
}

/**
 * Makes the namespaces, pins them, sets hostname and sysctls in them and brings lo up. Leaves nothing behind on failure.
 * Throws InvalidArgument when the kernel refuses a sysctl, Internal otherwise, Canceled.
 */
export async function pinNamespaces(
  request: PinRequest,
  programs: PinPrograms,
  signal: AbortSignal,
): Promise<void> {
  const wanted = namespaceFlags(request);
  if (wanted.length === 0) return;
  for (const [, , path] of wanted) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, '');
  }
  try {
    const result = request.user
      ? await pinOwned(request, request.user, programs, signal)
      : await run({
          path: programs.unshare,
          args: [...wanted.map(([flag, , path]) => `${flag}=${path}`), programs.sh, ...scriptArgs(request)],
          signal,
          timeoutMs,
        });
    if (!succeeded(result.status)) throw failure(result);
    if (request.netPath !== undefined) await bringUpLoopback(request.netPath);
  } catch (error) {
    for (const [, , path] of wanted) unpinNamespace(path);
    throw error;
  }
}

/** Here, so that no CNI loopback plugin is needed; by netlink, which is less work than starting a program for it. */
async function bringUpLoopback(netPath: string): Promise<void> {
  const socket = RouteSocket.open(netPath);
  try {
    const parts = [linkHeader(0, IFF_UP), textAttribute(linkAttributes.name, 'lo')];
    await socket.change([{ type: messageTypes.newLink, parts, what: `bringing lo up in ${netPath}` }]);
  } catch (cause) {
    throw new RuntimeError('Internal', `making namespaces: ${messageOf(cause)}`, { cause });
  } finally {
    socket.close();
  }
}

/**
 * With a user namespace: a process holds the new namespaces until the mappings are written and the pins are made. The
 * settings are then made by the host's root from outside the user namespace, who has every right in it.
 */
async function pinOwned(
  request: PinRequest,
  user: NonNullable<PinRequest['user']>,
  programs: PinPrograms,
  signal: AbortSignal,
): Promise<RunResult> {
  const wanted = namespaceFlags(request);
  const holder = launch({
    path: programs.unshare,
    args: [...wanted.map(([flag]) => flag), programs.sh, '-c', 'echo ready; read -r line'],
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  try {
    await awaitReady(holder, signal);
    writeFileSync(`/proc/${holder.pid}/uid_map`, formatMap(user.uids));
    writeFileSync(`/proc/${holder.pid}/gid_map`, formatMap(user.gids));
    for (const [, kind, path] of wanted) bindMount(`/proc/${holder.pid}/ns/${kind}`, path);
  } finally {
    holder.stdin!.end();
    holder.stdout!.destroy();
    holder.stderr!.destroy();
    await holder.exited;
  }
  const others = wanted.filter(([, kind]) => kind !== 'user').map(([flag, , path]) => `${flag}=${path}`);
  return run({
    path: programs.nsenter,
    args: [...others, programs.sh, ...scriptArgs(request)],
    signal,
    timeoutMs,
  });
}

async function awaitReady(holder: Launched, signal: AbortSignal): Promise<void> {
  const stderr = collect(holder.stderr!, 4096);
  const isReady = await new Promise<boolean>((resolve, reject) => {
    const onAbort = () => reject(abortError(signal, 'making namespaces'));
    signal.addEventListener('abort', onAbort, { once: true });
    holder.stdout!.once('data', () => resolve(true));
    holder.stdout!.once('end', () => resolve(false));
  });
  if (!isReady)
    throw new RuntimeError(
      'Internal',
      `making namespaces: ${stderr.bytes().toString().trim() || 'unshare ended early'}`,
    );
}

function formatMap(ranges: readonly IdRange[]): string {
  return ranges.map((range) => `${range.containerId} ${range.hostId} ${range.length}\n`).join('');
}

/** Removes a pin and its file; the namespace dies with its last process. Idempotent. */
export function unpinNamespace(path: string): void {
  if (path === '') return;
  unmountAll(path);
  rmSync(path, { force: true });
}

/**
 * Keeps mounts below `directory` to this mount namespace: where they would be shared it becomes a mount of its own, and
 * private. Pins are mounts: on a host whose root is shared they would otherwise be copied into every other mount namespace
 * and keep the namespaces alive there.
 */
export function ensurePrivateMount(directory: string): void {
  mkdirSync(directory, { recursive: true });
  const mounts = listMounts();
  const cover = coveringMount(directory, mounts);
  if (!cover?.optional.some((field) => field.startsWith('shared:'))) return;
  if (cover.mountPoint !== directory) bindMount(directory, directory);
  setPropagation(directory, MS_PRIVATE);
}
