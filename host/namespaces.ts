/**
 * Namespaces pinned to files, so that they live without a process. They are made by a launched program: unshare(2) and
 * setns(2) change the calling thread, and the daemon's threads must stay where they are.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { RuntimeError } from '#base/errors.ts';
import { describeStatus, run, succeeded } from './launch.ts';
import { bindMount, isNamespacePin, listMounts, MS_PRIVATE, setPropagation, unmountAll } from './mount.ts';

export interface PinRequest {
  /** Where to pin; an absent path means that the namespace is not made. */
  readonly netPath?: string;
  readonly ipcPath?: string;
  readonly utsPath?: string;
  /** Set in the new UTS namespace; '' leaves the node's. */
  readonly hostname: string;
  /** Files below /proc/sys and their values, written in the new namespaces. */
  readonly sysctls: Readonly<Record<string, string>>;
}

// lo is brought up here so that no CNI loopback plugin is needed. Values arrive as arguments: nothing is quoted.
const script = `set -e
if [ -n "$1" ]; then printf '%s' "$1" > /proc/sys/kernel/hostname; fi
if [ "$2" = net ]; then ip link set lo up; fi
shift 2
while [ $# -gt 1 ]; do
  printf '%s' "$2" > "/proc/sys/$1" || { echo "sysctl $1=$2 refused" >&2; exit 1; }
  shift 2
done`;

/**
 * Makes the namespaces, pins them, sets hostname and sysctls in them and brings lo up. Leaves nothing behind on failure.
 * Throws InvalidArgument when the kernel refuses a sysctl, Internal otherwise, Canceled.
 */
export async function pinNamespaces(
  request: PinRequest,
  programs: { unshare: string; sh: string },
  signal: AbortSignal,
): Promise<void> {
  const wanted: [string, string | undefined][] = [
    ['--net', request.netPath],
    ['--ipc', request.ipcPath],
    ['--uts', request.utsPath],
  ];
  const args: string[] = [];
  const paths: string[] = [];
  for (const [flag, path] of wanted) {
    if (path === undefined) continue;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, '');
    paths.push(path);
    args.push(`${flag}=${path}`);
  }
  if (paths.length === 0) return;
  const sysctls = Object.entries(request.sysctls).flat();
  const hostname = request.utsPath === undefined ? '' : request.hostname;
  try {
    const result = await run({
      path: programs.unshare,
      args: [
        ...args,
        programs.sh,
        '-c',
        script,
        'berth-pin',
        hostname,
        request.netPath === undefined ? '' : 'net',
        ...sysctls,
      ],
      signal,
      timeoutMs: 60_000,
    });
    if (!succeeded(result.status)) {
      const words = result.stderr.toString().trim();
      const kind = words.includes('sysctl') ? 'InvalidArgument' : 'Internal';
      throw new RuntimeError(kind, `making namespaces: ${words || describeStatus(result.status)}`);
    }
  } catch (error) {
    for (const path of paths) unpinNamespace(path);
    throw error;
  }
}

/** Pins the namespace at `source` (a /proc/PID/ns file) to `path`. */
export function pinExisting(source: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '');
  bindMount(source, path);
}

/** Removes a pin and its file; the namespace dies with its last process. Idempotent. */
export function unpinNamespace(path: string): void {
  if (path === '') return;
  unmountAll(path);
  rmSync(path, { force: true });
}

/**
 * Makes `directory` a mount of its own with private propagation. Pins are mounts: on a host whose root is shared they
 * would otherwise be copied into every other mount namespace and keep the namespaces alive there.
 */
export function ensurePrivateMount(directory: string): void {
  mkdirSync(directory, { recursive: true });
  if (!listMounts().some((mount) => mount.mountPoint === directory)) bindMount(directory, directory);
  setPropagation(directory, MS_PRIVATE);
}

export { isNamespacePin };
