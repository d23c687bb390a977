/**
 * Watches over a step that hangs: while it does, other pods and lists must go on and the client's deadline must hold; then
 * the hang is lifted, or the daemon killed.
 */
import { existsSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { CriClient } from '../cri-client.ts';
import { DaemonDied, type FaultBed } from './bed.ts';
import { PodWalk } from './pod-walk.ts';

/** What a client of the operation that hangs waits for an answer, as `--runtime-request-timeout` of a kubelet. */
export const hangDeadlineMs = 400;
/** What everyone else may wait meanwhile: much more than they need, much less than for ever. */
const bystanderMs = 10_000;
const reachMs = 30_000;
const lookMs = 5;

export type HangEnd = 'lift' | 'kill';

async function until(isTrue: () => boolean, timeoutMs: number): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  while (!isTrue()) {
    if (performance.now() > end) return false;
    await delay(lookMs);
  }
  return true;
}

export function isDeadline(failure: string): boolean {
  return failure.includes('DEADLINE_EXCEEDED');
}

let bystanders = 0;

/** Another pod's whole life and every list, in one daemon's. Throws what did not work. */
async function lookAround(bed: FaultBed): Promise<void> {
  const pid = bed.pid;
  await Promise.all([
    bed.call('ListPodSandbox', {}, bystanderMs),
    bed.call('ListContainers', {}, bystanderMs),
    bed.call('ListImages', {}, bystanderMs),
    bed.call('ListContainerStats', {}, bystanderMs),
    bed.call('ListPodSandboxStats', {}, bystanderMs),
    bed.call('ImageFsInfo', {}, bystanderMs),
    bed.call('Status', {}, bystanderMs),
  ]);
  bystanders += 1;
  const other = new PodWalk(bed, { name: `bystander${bystanders}`, tries: 1, deadlineMs: bystanderMs });
  await other.run();
  await other.start(['sleep', '1000']);
  await other.exec();
  await other.stopContainer(0n);
  await other.removeContainer();
  await other.stop();
  await other.remove();
  if (bed.pid !== pid) throw new Error('the daemon died meanwhile');
}

/** What is answered before recovery is over. */
async function lookAtStart(bed: FaultBed): Promise<void> {
  const client = new CriClient(bed.config.server.socket);
  try {
    await Promise.all([client.call('Version', {}, bystanderMs), client.call('Status', {}, bystanderMs)]);
  } finally {
    client.close();
  }
}

export interface Watched {
  /** What the client that meets the hang has seen fail so far; it grows. */
  readonly failures: readonly string[];
  readonly end: HangEnd;
  /** There while it hangs; removing it ends the hang. */
  readonly hangFile: string;
  /** Whether that client's deadline must pass. */
  readonly meetsDeadline: boolean;
  /** Whether it hangs in a start of the daemon, and whether clients are heard meanwhile. */
  readonly start: 'none' | 'deaf' | 'hearing';
  /** Whether that client has given up or come to its end. */
  readonly isOver: () => boolean;
}

/** Resolves when the hang is over. Throws what went wrong beside it. */
export async function watchHang(
  bed: FaultBed,
  { failures, end, hangFile, meetsDeadline, start, isOver }: Watched,
): Promise<void> {
  await until(() => existsSync(hangFile) || isOver(), reachMs);
  if (!existsSync(hangFile)) throw new Error('what should hang was never reached');
  try {
    try {
      if (start === 'none') await lookAround(bed);
      if (start === 'hearing') await lookAtStart(bed);
    } catch (error) {
      if (error instanceof DaemonDied) throw error;
      throw new Error(`while it hung: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
    if (start === 'none') await until(() => failures.some(isDeadline) || isOver(), reachMs);
    if (start === 'none' && meetsDeadline && !failures.some(isDeadline))
      throw new Error("no client's deadline passed while it hung");
    if (end === 'kill') await bed.kill();
  } finally {
    rmSync(hangFile, { force: true });
  }
}
