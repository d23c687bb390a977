/**
 * Writes what is made from the option table.
 *
 *   node daemon/config/generate.ts            write packaging/config.toml and docs/config.md
 *   node daemon/config/generate.ts --check    write nothing; exit 1 if one of them is out of date
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errnoOf } from '#base/errors.ts';
import { documentation, sampleFile } from './render.ts';

const files: Readonly<Record<string, string>> = {
  'packaging/config.toml': sampleFile(),
  'docs/config.md': documentation(),
};

function current(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

for (const [name, text] of Object.entries(files)) {
  const path = fileURLToPath(new URL(`../../${name}`, import.meta.url));
  if (!process.argv.includes('--check')) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  } else if (current(path) !== text) {
    console.error(`${name} is out of date: run \`make generate\` and commit`);
    process.exitCode = 1;
  }
}
