/** Puts files where they belong, each complete under its name or not at all. */
import { chmodSync, copyFileSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Placed } from './tree.ts';

/** Places all of it below `root` ('' for the system itself). What is there under these names is replaced. */
export function place(tree: readonly Placed[], root: string): void {
  for (const placed of tree) {
    const to = join(root, placed.to);
    const temporary = `${to}.installing`;
    mkdirSync(dirname(to), { recursive: true, mode: 0o755 });
    rmSync(temporary, { force: true });
    if (placed.type === 'link') symlinkSync(placed.target, temporary);
    else {
      if (placed.type === 'file') copyFileSync(placed.from, temporary);
      else writeFileSync(temporary, placed.text);
      chmodSync(temporary, placed.mode);
    }
    renameSync(temporary, to);
  }
}
