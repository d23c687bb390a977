/** Ties the life of a child process to its parent's (prctl(2), PR_SET_PDEATHSIG). */
import { constants } from 'node:os';
import { checked, libc } from './libc.ts';

const prctlRaw = libc.func('int prctl(int option, ulong argument)');
const PR_SET_PDEATHSIG = 1;

/**
 * Has the kernel kill this process when the one that started it dies, however that dies. To be called by a child; `parent`
 * is the pid it expects, so that one that died before the call is noticed: then this process ends at once.
 */
export function dieWithParent(parent: number): void {
  checked(prctlRaw(PR_SET_PDEATHSIG, constants.signals.SIGKILL), 'prctl', 'PR_SET_PDEATHSIG');
  if (process.ppid !== parent) process.exit(0);
}
