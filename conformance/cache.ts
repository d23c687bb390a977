import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's root folder, whatever the current directory is. */
export const projectRoot = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Absolute path of a folder inside the build cache, created if absent. The cache is `$BERTH_CACHE`,
 * else `.cache` at the project root; everything in it can be deleted and is then made again.
 */
export function cacheDir(...parts: string[]): string {
  const path = join(process.env.BERTH_CACHE ?? join(projectRoot, '.cache'), ...parts);
  mkdirSync(path, { recursive: true });
  return path;
}
