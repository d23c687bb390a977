import { readFileSync } from 'node:fs';
import { messageOf, RuntimeError } from '#base/errors.ts';
import type { SecurityProfile } from './sandbox/config.ts';

/**
 * The text of the profile that a request names: the file of a Localhost one, the node's own default (if it has one) for
 * RuntimeDefault; undefined where none is needed. Throws InvalidArgument naming a file that cannot be read.
 */
export function readSeccompProfile(
  security: { readonly seccomp: SecurityProfile | undefined; readonly isPrivileged: boolean },
  nodeDefault: string | undefined,
): string | undefined {
  const { seccomp, isPrivileged } = security;
  if (isPrivileged || seccomp === undefined) return undefined;
  if (seccomp.type === 'runtimeDefault') return nodeDefault;
  if (seccomp.type !== 'localhost' || seccomp.localhostRef === '') return undefined;
  try {
    return readFileSync(seccomp.localhostRef, 'utf8');
  } catch (error) {
    throw new RuntimeError(
      'InvalidArgument',
      `seccomp profile ${seccomp.localhostRef}: ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
}
