/** Creations that went wrong in a way that conmon does not tell of, or does not notice. */
import { readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { type Launched, sendSignal } from '#host/launch.ts';
import { listDescendants, parentOf } from '#host/proc.ts';
import { findMonitor } from './end-monitor.ts';

/** Kills the monitor, and the OCI runtime that creates for it. Both ends of the sync pipe are closed then. Idempotent. */
export function killCreation(child: Launched, bundle: string): void {
  child.kill(constants.signals.SIGKILL);
  const monitor = findMonitor(bundle);
  if (!monitor) return;
  for (const pid of [...listDescendants(monitor.pid), monitor.pid])
    sendSignal(pid, constants.signals.SIGKILL);
}

/** How long a create may take before its runtime is looked after, and how far apart the looks are. */
const lookMs = 1000;

/** The mount namespace of a process; undefined when it has ended. */
function mountNamespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined; // ended, or ended and not yet waited for
  }
}

/**
 * Whether the OCI runtime died when the container's process stood already. conmon then reads the runtime's words to their
 * end, which never comes: the container, now a child of conmon, holds the same pipe. It is told from a runtime at work by its
 * mount namespace, which it has from its birth, for the runtime may have died before it wrote down the container's pid.
 */
function hasLostRuntime(bundle: string): boolean {
  const monitor = findMonitor(bundle);
  const own = monitor && mountNamespaceOf(monitor.pid);
  if (!monitor || own === undefined) return false;
  const children = listDescendants(monitor.pid).filter((pid) => parentOf(pid) === monitor.pid);
  return children.length > 0 && children.every((pid) => mountNamespaceOf(pid) !== own);
}

export interface CreationWatch {
  /** Whether the create was killed because its runtime had died. */
  readonly wasLost: () => boolean;
  readonly stop: () => void;
}

/** Kills a create whose runtime was seen gone twice in a row; does nothing while a create takes its usual milliseconds. */
export function watchCreation(child: Launched, bundle: string): CreationWatch {
  let seen = 0;
  const timer = setInterval(() => {
    seen = hasLostRuntime(bundle) ? seen + 1 : 0;
    if (seen === 2) killCreation(child, bundle);
  }, lookMs);
  return { wasLost: () => seen >= 2, stop: () => clearInterval(timer) };
}
