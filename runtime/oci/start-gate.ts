/**
 * How a container that crun created is let go, without a run of `crun start`.
 *
 * What `crun create` leaves is a process that has done all it was told to and reads from the FIFO `exec.fifo` in the
 * container's state folder; it executes the container's program when a byte comes. `crun start` reads the state, sees that
 * the process lives, writes that byte, removes the FIFO and runs hooks of the kind `poststart` (crun, src/libcrun/container.c
 * and status.c, in every 1.x). Byte and removal take the daemon a tenth of the
 * time that a run of the program takes.
 */
import { closeSync, constants, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { hasOpen } from '#host/proc.ts';

const { O_WRONLY, O_NONBLOCK } = constants;
const gatePath = (folder: string): string => join(folder, 'exec.fifo');

/** Of the spec as the runtime keeps it; a word of that name somewhere else in it costs no more than a run of the program. */
function mayHavePoststartHooks(folder: string): boolean {
  try {
    return readFileSync(join(folder, 'config.json')).includes('"poststart"');
  } catch {
    return true; // not where it is expected: not what is known here
  }
}

/**
 * Lets the container of the state folder `folder` go. False, with nothing changed, where `crun start` has to do it, or to say
 * why it cannot be done: the container has hooks for it, has ended, or keeps nothing of what is expected.
 */
export function openGate(folder: string): boolean {
  if (mayHavePoststartHooks(folder)) return false;
  const path = gatePath(folder);
  let fd: number;
  try {
    // Without waiting: there is no reader if the process has ended.
    fd = openSync(path, O_WRONLY | O_NONBLOCK);
  } catch {
    return false;
  }
  try {
    writeSync(fd, Buffer.of(0));
  } catch {
    return false;
  } finally {
    closeSync(fd);
  }
  // Last, unlike crun: of a daemon that is killed here `isBehindGate` can tell what it has done.
  removeGate(folder);
  return true;
}

/** Removes the gate of a container that has passed it. Idempotent. */
export function removeGate(folder: string): void {
  rmSync(gatePath(folder), { force: true });
}

/** Whether the process still waits to be let go: it holds the FIFO open, which it closes when it executes its program. */
export function isBehindGate(folder: string, pid: number): boolean {
  return hasOpen(pid, gatePath(folder));
}
