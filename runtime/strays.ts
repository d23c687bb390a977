/**
 * Programs that an earlier daemon had started and that it died before: they work on, and what they make would come after
 * recovery has cleaned up. Only processes of our own programs are looked at, and only those that name the object in question.
 */
import { constants } from 'node:os';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '#base/log.ts';
import { sendSignal } from '#host/launch.ts';
import { listDescendants, listProcessesOf, type ProgramProcess } from '#host/proc.ts';
import { watchProcess } from '#host/process-watch.ts';

const rounds = 5;
const patienceMs = 1000;
const addPatienceMs = 500;

/** Whether a command line names one of `ids`, alone or as part of a path, or the process is a CNI plugin at work for one. */
function mentions(found: ProgramProcess, ids: ReadonlySet<string>): boolean {
  const words = [...found.command, ...found.environment.filter((entry) => entry.startsWith('CNI_'))];
  return words.some((word) => {
    for (const match of word.matchAll(/[0-9a-f]{64}/g)) if (ids.has(match[0])) return true;
    return false;
  });
}

/** A script is started as its interpreter, with at most one word before its own path (execve(2)). */
const wordsOfProgram = 3;

export interface StrayOptions {
  /** Paths of conmon, the OCI runtimes, unshare and the like. */
  readonly programs: readonly string[];
  /** Folders all of whose programs count, such as those of CNI plugins. */
  readonly programDirs: readonly string[];
  readonly log: Log;
}

/** Kills our programs that are at work on one of `ids`, with all that they started, and waits for their end. */
export async function endStrays(options: StrayOptions, ids: ReadonlySet<string>): Promise<void> {
  await endProcesses(options, (found) => mentions(found, ids));
}

/** Kills the OCI runtimes that run a command in a container for a daemon that is gone, by the file which describes it. */
export async function endStrayExecs(options: StrayOptions, files: ReadonlySet<string>): Promise<void> {
  await endProcesses(options, ({ command }) => command.some((word) => files.has(word)));
}

/** Kills the OCI runtimes that pause one of the containers `ids`, or let it go on, for a daemon that is gone. */
export async function endStrayPauses(options: StrayOptions, ids: ReadonlySet<string>): Promise<void> {
  await endProcesses(
    options,
    ({ command }) =>
      command.some((word) => word === 'pause' || word === 'resume') && command.some((word) => ids.has(word)),
  );
}

async function endProcesses(
  { programs, programDirs, log }: StrayOptions,
  isStray: (found: ProgramProcess) => boolean,
): Promise<void> {
  const paths = new Set(programs);
  // One that is configured may be a wrapper, which becomes the program of the same name elsewhere.
  const names = new Set(programs.map((path) => basename(path)));
  const isOurPath = (path: string) =>
    paths.has(path) || programDirs.some((dir) => path === `${dir}/${basename(path)}`);
  const isOurs = ({ command, environment }: ProgramProcess) =>
    command.slice(0, wordsOfProgram).some(isOurPath) ||
    names.has(basename(command[0]!)) ||
    environment.some((entry) => entry.startsWith('CNI_CONTAINERID='));
  // A program may start another between the look and the kill: look until nothing is found, but never for ever.
  for (let round = 0; round < rounds; round += 1) {
    const strays = listProcessesOf(() => true, { withEnvironment: true }).filter(
      (found) => found.pid !== process.pid && isOurs(found) && isStray(found),
    );
    if (strays.length === 0) return;
    for (const stray of strays) {
      log.warn(
        { pid: stray.pid, command: stray.command.slice(0, 4) },
        'ending a program of an earlier daemon',
      );
      const watch = watchProcess(stray);
      const endsWithin = (ms: number): Promise<boolean> =>
        Promise.race([watch.ended.then(() => true), delay(ms, false, { ref: false })]);
      // Killed at work, a plugin may leave an address reserved for nobody, which no DEL finds: see network/cni/exec.ts.
      const isAttaching = stray.environment.includes('CNI_COMMAND=ADD');
      if (!(isAttaching && (await endsWithin(addPatienceMs)))) {
        for (const pid of [...listDescendants(stray.pid), stray.pid])
          sendSignal(pid, constants.signals.SIGKILL);
        // One in uninterruptible sleep must not hold up the start.
        await endsWithin(patienceMs);
      }
      watch.close();
    }
  }
}
