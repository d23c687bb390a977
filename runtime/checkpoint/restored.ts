/** What a restore made that an earlier daemon had begun: conmon and CRIU finish it without that daemon. */
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { RuntimeError } from '#base/errors.ts';
import { readText } from '#host/cgroup.ts';
import { sendSignal } from '#host/launch.ts';
import { findProcess, listDescendants, listProcessesOf, type ProcessIdentity, parentOf } from '#host/proc.ts';
import { watchProcess } from '#host/process-watch.ts';
import { findMonitor } from '../monitor/end-monitor.ts';

/** A restore of many gigabytes takes long, and what it has put into memory would be lost. */
const patienceMs = 30_000;
/** How long one that is killed may take to end. */
const killPatienceMs = 5000;
/** Between looks while nothing ends: that a restore is done is told by a file, and by who the process is a child of. */
const lookMs = 250;

export interface Restored {
  readonly container: ProcessIdentity;
  readonly monitor: ProcessIdentity;
}

/**
 * Resolves when no restore into `bundle` is at work any more, with what it made; undefined for nothing. One that comes to no
 * end is killed. Throws Internal for one that cannot be.
 */
export async function awaitRestored(bundle: string): Promise<Restored | undefined> {
  const startedMs = performance.now();
  for (;;) {
    // In this order: what has ended since the look at processes has left what it made.
    const atWork = listProcessesOf(() => true).filter(
      ({ command }) =>
        command.includes(bundle) && (command.includes('--restore') || command.includes('restore')),
    );
    const found = findRestored(bundle);
    if (found || atWork.length === 0) return found;
    const waitedMs = performance.now() - startedMs;
    if (waitedMs > patienceMs + killPatienceMs)
      throw new RuntimeError(
        'Internal',
        `a restore that an earlier daemon began does not end, though killed: process ${atWork.map(({ pid }) => pid).join(', ')} at work in ${bundle}`,
      );
    if (waitedMs > patienceMs)
      for (const { pid } of atWork)
        for (const one of [...listDescendants(pid), pid]) sendSignal(one, constants.signals.SIGKILL);
    const watches = atWork.map((process) => watchProcess(process));
    await Promise.race([...watches.map(({ ended }) => ended), delay(lookMs, undefined, { ref: false })]);
    for (const watch of watches) watch.close();
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
