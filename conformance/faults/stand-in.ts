/**
 * Stand-ins for programs that the daemon finds by itself in the usual folders: there is no switch for them, so they are mounted
 * over the real ones. Only where the mount table is the test's own.
 */
import { chmodSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultPath } from '#host/launch.ts';
import { bindMount, unmountAll } from '#host/mount.ts';
import { ProgramPaths } from '#network/program-path.ts';
import { type FaultBed, realProgram } from './bed.ts';
import { isInside } from './isolate.ts';

/** Has everybody who calls the program call the failing one of the bed; returns what takes it back. */
export function standInFor(bed: FaultBed, name: string): () => void {
  if (!isInside()) throw new Error(`${name} is stood in for only in a mount table of its own`);
  const found = new ProgramPaths(defaultPath.split(':')).find(name);
  if (found === undefined) throw new Error(`the program ${name} is missing`);
  const place = realpathSync(found);
  const real = realProgram(bed.dir, name);
  mkdirSync(join(real, '..'), { recursive: true });
  writeFileSync(real, '');
  bindMount(place, real);
  const door = `${real}.sh`;
  // By its path among the others, so that it knows which bed it is of.
  writeFileSync(door, `#!/bin/sh\nexec ${join(bed.dir, 'programs', name)} "$@"\n`);
  chmodSync(door, 0o755);
  bindMount(door, place);
  return () => {
    unmountAll(place);
    unmountAll(real);
  };
}
