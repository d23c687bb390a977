/** What a restore made that an earlier daemon had begun: conmon and CRIU finish it without that daemon. */
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readText } from '#host/cgroup.ts';
import { sendSignal } from '#host/launch.ts';
import { findProcess, listDescendants, listProcessesOf, type ProcessIdentity, parentOf } from '#host/proc.ts';
import { findMonitor } from '../monitor/end-monitor.ts';

/** A restore of many gigabytes takes long, and what it has put into memory would be lost. */
const patienceMs = 30_000;
const lookMs = 20;

export interface Restored {
  readonly container: ProcessIdentity;
  readonly monitor: ProcessIdentity;
}

/**
 * Resolves when no restore into `bundle` is at work any more, with what it made; undefined for nothing. One that comes to no
 * end is killed.
 */
export async function awaitRestored(bundle: string): Promise<Restored | undefined> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const found = findRestored(bundle);
    if (found) return found;
    const atWork = listProcessesOf(() => true).filter(
      ({ command }) => command.includes('--restore') && command.includes(bundle),
    );
    if (atWork.length === 0) return undefined;
    if (performance.now() > end)
      for (const { pid } of atWork)
        for (const one of [...listDescendants(pid), pid]) sendSignal(one, constants.signals.SIGKILL);
    await delay(lookMs);
  }
}

function findRestored(bundle: string): Restored | undefined {
  const pidFile = join(bundle, 'container.pid');
  const monitor = findMonitor(bundle);
  if (!monitor || !existsSync(pidFile)) return undefined;
  // Written in two goes: at first it is empty.
  const pid = Number(readText(pidFile)?.trim() || 0);
  const container = pid > 0 && parentOf(pid) === monitor.pid ? findProcess(pid) : undefined;
  return container && { container, monitor };
}
