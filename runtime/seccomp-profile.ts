import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { messageOf, RuntimeError } from '#base/errors.ts';
import type { SecurityProfile } from './sandbox/config.ts';

/**
 * The text of the profile that a request names: the file of a Localhost one, the node's own default (if it has one) for
 * RuntimeDefault; undefined where none is needed. Throws InvalidArgument naming a file that is none or cannot be read.
 */
export function readSeccompProfile(
  security: { readonly seccomp: SecurityProfile | undefined; readonly isPrivileged: boolean },
  nodeDefault: string | undefined,
): string | undefined {
  const { seccomp, isPrivileged } = security;
  if (isPrivileged || seccomp === undefined) return undefined;
  if (seccomp.type === 'runtimeDefault') return nodeDefault;
  if (seccomp.type !== 'localhost' || seccomp.localhostRef === '') return undefined;
  return readProfile(seccomp.localhostRef);
}

/** The largest known is some tens of kilobytes. */
const largestProfileBytes = 4 << 20;

/** Whoever writes a pod chooses the name: nothing is opened that would block or have no end, and nothing beside the folder meant. */
function readProfile(path: string): string {
  const refuse = (why: string, cause?: unknown) =>
    new RuntimeError('InvalidArgument', `seccomp profile ${path}: ${why}`, { cause });
  if (!path.startsWith('/') || path.split('/').includes('..'))
    throw refuse('it must be named by an absolute path without ".."');
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw refuse(messageOf(error), error);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw refuse('it is no regular file');
    if (stat.size > largestProfileBytes) throw refuse(`it is larger than ${largestProfileBytes} bytes`);
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}
