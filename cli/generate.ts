/**
 * Writes what is made from the table of commands.
 *
 *   node cli/generate.ts            write packaging/man/ and packaging/completion/
 *   node cli/generate.ts --check    write nothing; exit 1 if a file is out of date
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errnoOf } from '#base/errors.ts';
import { loadAllCommands } from './command.ts';
import { commands } from './commands.ts';
import { completionScript } from './completion.ts';
import { manPages } from './man.ts';

const root = fileURLToPath(new URL('../', import.meta.url));
const manFolder = join(root, 'packaging/man');
const pages = manPages(await loadAllCommands(commands));
const files: readonly (readonly [string, string])[] = [
  ...[...pages].map(([name, text]) => [join(manFolder, name), text] as const),
  [join(root, 'packaging/completion/berth.bash'), completionScript('bash')],
  [join(root, 'packaging/completion/_berth'), completionScript('zsh')],
  [join(root, 'packaging/completion/berth.fish'), completionScript('fish')],
];

function current(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

mkdirSync(manFolder, { recursive: true });
const orphans = readdirSync(manFolder).filter((name) => !pages.has(name));
if (!process.argv.includes('--check')) {
  for (const name of orphans) rmSync(join(manFolder, name));
  for (const [path, text] of files) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
} else {
  const stale = [
    ...files.filter(([path, text]) => current(path) !== text).map(([path]) => path.slice(root.length)),
    ...orphans.map((name) => `packaging/man/${name}`),
  ];
  if (stale.length > 0) {
    console.error(`out of date: ${stale.join(', ')}: run \`make generate\` and commit`);
    process.exitCode = 1;
  }
}
