import { join } from 'node:path';
import { cacheDir } from '../cache.ts';
import { runCommand } from '../command.ts';

/** Builds the Go client from its pinned modules and returns the program's path. Takes no time when nothing changed. */
export async function buildStreamingClient(): Promise<string> {
  const program = join(cacheDir('streaming-client'), 'streaming-client');
  await runCommand('go', ['build', '-p', '2', '-o', program, '.'], { cwd: import.meta.dirname });
  return program;
}
