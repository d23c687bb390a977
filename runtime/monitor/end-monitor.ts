/** The end of a monitor whose container was killed behind its back: it still writes an exit file, which must not come late. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readText } from '#host/cgroup.ts';
import { findProcess, type ProcessIdentity, readCommandLine, signalProcess } from '#host/proc.ts';
import { watchProcess } from '#host/process-watch.ts';

const patienceMs = 2000;
const sigkill = 9;

/** The monitor of a bundle that lives, by its pid file and its command line; undefined if there is none. */
export function findMonitor(bundle: string): ProcessIdentity | undefined {
  if (!existsSync(join(bundle, 'conmon.pid'))) return undefined;
  const pid = Number(readText(join(bundle, 'conmon.pid'))?.trim() || 0);
  return pid !== 0 && readCommandLine(pid).includes(bundle) ? findProcess(pid) : undefined;
}

/** Waits until the monitor of a bundle, whose container is gone, has ended; kills it if it takes long. Idempotent. */
export async function awaitMonitorEnd(bundle: string): Promise<void> {
  const monitor = findMonitor(bundle);
  if (!monitor) return;
  const watch = watchProcess(monitor);
  const patience = new AbortController();
  const timer = delay(patienceMs, 'late' as const, { signal: patience.signal }).catch(() => 'ended' as const);
  if ((await Promise.race([watch.ended, timer])) === 'late') {
    signalProcess(monitor, sigkill);
    await watch.ended;
  }
  patience.abort();
}
