/** Creations that went wrong in a way that conmon does not tell of, or does not notice. */
import { constants } from 'node:os';
import { readText } from '#host/cgroup.ts';
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

/**
 * Whether the OCI runtime died when the container stood already. conmon then reads the runtime's words to their end, which
 * never comes: the container holds the same pipe.
 */
function hasLostRuntime(bundle: string): boolean {
  const monitor = findMonitor(bundle);
  const container = Number(readText(`${bundle}/container.pid`)?.trim() || 0);
  if (!monitor || container === 0) return false;
  const children = listDescendants(monitor.pid).filter((pid) => parentOf(pid) === monitor.pid);
  return children.length === 1 && children[0] === container;
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
