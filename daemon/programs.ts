import { RuntimeError } from '#base/errors.ts';
import { defaultPath } from '#host/launch.ts';
import { findProgram } from '#runtime/host-facts.ts';

/** Where programs are looked for. */
export const programDirs = defaultPath.split(':');

/** The path of a program that the daemon cannot do without. Throws FailedPrecondition naming it and how to get it. */
export function requireProgram(name: string, configured: string, option: string): string {
  const path = findProgram([configured === '' ? name : configured], programDirs);
  if (path !== '') return path;
  throw new RuntimeError(
    'FailedPrecondition',
    `${configured === '' ? `${name} is not in ${defaultPath}` : `${configured} is no program`}: install ${name} or set ${option}`,
  );
}
