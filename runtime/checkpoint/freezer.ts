/**
 * Containers that stand still for a while. That they do is written into the bundle before, and the files that a capture
 * makes meanwhile with it: a daemon that takes over from one that died lets the container go on and removes these.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { writing } from '#base/disk-full.ts';
import { messageOf, RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { isRunning, listProcessesOf, type ProcessIdentity } from '#host/proc.ts';
import { watchProcess } from '#host/process-watch.ts';
import type { CliRuntime } from '../oci/cli-runtime.ts';

const resumeAttempts = 3;
const resumePauseMs = 200;
const dumpPatienceMs = 30_000;

interface Mark {
  /** Absolute paths of files and folders that are half made. */
  readonly partial: readonly string[];
  readonly isPaused: boolean;
}

function markOf(bundle: string): string {
  return join(bundle, 'checkpointing.json');
}

function readMark(bundle: string): Mark | undefined {
  if (!existsSync(markOf(bundle))) return undefined;
  try {
    return JSON.parse(readFileSync(markOf(bundle), 'utf8')) as Mark;
  } catch {
    return undefined; // not one of ours
  }
}

/** In one piece: without it nobody knew what to remove. */
function writeMark(bundle: string, mark: Mark): void {
  const next = `${markOf(bundle)}.new`;
  writing(next, () => writeFileSync(next, JSON.stringify(mark), { mode: 0o600 }));
  renameSync(next, markOf(bundle));
}

/** Notes what a capture of a container that runs is about to make. */
export function noteCapture(bundle: string, partial: readonly string[]): void {
  writeMark(bundle, { partial, isPaused: false });
}

/** Forgets a capture that is over, whatever became of it; not one whose container could not be resumed. Idempotent. */
export function forgetCapture(bundle: string): void {
  if (readMark(bundle)?.isPaused !== true) rmSync(markOf(bundle), { force: true });
}

export interface Frozen {
  readonly id: string;
  readonly handler: CliRuntime;
  readonly bundle: string;
  readonly process: ProcessIdentity | undefined;
}

/** Stops a container's processes. `partial` is what the capture is about to make; `forgetCapture` ends that. Throws Internal; then they run. */
export async function freeze(container: Frozen, partial: readonly string[], log: Log): Promise<void> {
  writeMark(container.bundle, { partial, isPaused: true });
  try {
    await container.handler.pause(container.id);
  } catch (error) {
    // It may have been paused in part.
    await thaw(container, log).catch((failure: unknown) => {
      log.error({ containerId: container.id, err: failure }, messageOf(failure));
    });
    throw error;
  }
}

/** Lets them go on; idempotent, also for a container that has ended. Throws Internal if they cannot be made to. */
export async function thaw(container: Frozen, log: Log): Promise<void> {
  const { id, handler, bundle, process } = container;
  let last: unknown;
  for (let attempt = 0; attempt < resumeAttempts; attempt += 1) {
    try {
      await handler.resume(id);
      noteRunning(bundle);
      return;
    } catch (error) {
      last = error;
      if (process && !isRunning(process)) break; // it was killed meanwhile, which ends a pause too
      // crun and runc refuse to resume what is not paused: a pause that failed left it so.
      if (/not paused/i.test(messageOf(error))) break;
      log.warn({ containerId: id, err: error }, `resuming a container failed: ${messageOf(error)}`);
      await delay(resumePauseMs);
    }
  }
  if ((process && !isRunning(process)) || /not paused/i.test(messageOf(last))) {
    noteRunning(bundle);
    return;
  }
  throw new RuntimeError(
    'Internal',
    `container ${id} stands still and cannot be resumed: ${messageOf(last)}; stop it, or run ${handler.path} ${handler.globalArgs.join(' ')} resume ${id}`,
    { cause: last },
  );
}

/**
 * CRIU that is still at work is let come to its end, within reason: it has code of its own in the container's processes, and
 * leaves the container as it found it, which is standing still.
 */
async function awaitDump({ id, handler }: Frozen): Promise<void> {
  const watches = listProcessesOf((path) => path === handler.path)
    .filter(({ command }) => command.includes('checkpoint') && command.includes(id))
    .map((found) => watchProcess(found));
  const ended = Promise.all(watches.map((watch) => watch.ended));
  await Promise.race([ended, delay(dumpPatienceMs, undefined, { ref: false })]);
  for (const watch of watches) watch.close();
}

/** What is half made is still to be packed, or removed. */
function noteRunning(bundle: string): void {
  const mark = readMark(bundle);
  if (mark) writeMark(bundle, { ...mark, isPaused: false });
}

/** Whether a capture was begun and not ended. */
export function hasCapture(bundle: string): boolean {
  return existsSync(markOf(bundle));
}

/** Ends what an earlier daemon had begun: the container goes on, and what was half made is removed. */
export async function thawLeftover(container: Frozen, log: Log): Promise<void> {
  const mark = readMark(container.bundle);
  if (mark) {
    log.warn({ containerId: container.id }, 'a checkpoint was cut short: the container goes on');
    await awaitDump(container);
    for (const path of mark.partial) rmSync(path, { recursive: true, force: true });
    if (mark.isPaused) await thaw(container, log);
  }
  forgetCapture(container.bundle);
}

/** The same for a container that has ended since. */
export function dropCapture(bundle: string): void {
  for (const path of readMark(bundle)?.partial ?? []) rmSync(path, { recursive: true, force: true });
  rmSync(markOf(bundle), { force: true });
}
