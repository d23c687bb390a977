import { join } from 'node:path';
import { cacheDir } from '../cache.ts';
import { runCommand } from '../command.ts';

/** Builds the Go plugin from its pinned modules and returns the program's path. Takes no time when nothing changed. */
export async function buildNriPlugin(): Promise<string> {
  const program = join(cacheDir('nri'), 'nri-plugin');
  await runCommand('go', ['build', '-p', '2', '-o', program, '.'], {
    cwd: join(import.meta.dirname, 'plugin'),
    env: { ...process.env, CGO_ENABLED: '0' },
  });
  return program;
}

if (import.meta.main) console.log(await buildNriPlugin());
