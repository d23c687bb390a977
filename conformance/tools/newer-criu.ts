/**
 * CRIU and a crun that is built with it: those of the machine if they work, else from Debian's newer packages. Debian 12's crun is
 * built without, and its criu 3.17 does not work on newer kernels.
 *
 *   node conformance/tools/newer-criu.ts      prints the paths of criu and crun
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from '../cache.ts';
import { runCommand } from '../command.ts';
import { patchProgram, unpackWithDependencies } from './debian-packages.ts';

/**
 * CRIU of Debian 14, in the making: Debian 13's 4.1 cannot save network sockets on Linux 6.18, where a query that it makes of each
 * (SO_PASSCRED) is an error. crun of Debian 13, which calls it through libcriu2: the 1.28 of Debian 14 saves
 * containers with masked folders and cannot restore them.
 */
const criuSuite = 'forky';
const crunSuite = 'trixie';

export interface NewerCriu {
  readonly criu: string;
  readonly crun: string;
  /** undefined if `criu check` passes here, else its words. */
  readonly obstacle: string | undefined;
}

async function ensureProgram(
  dir: string,
  suite: string,
  packages: readonly string[],
  path: string,
): Promise<string> {
  const program = join(dir, 'root', path);
  const done = join(dir, 'done');
  // Patched with the paths of this folder, it starts nowhere else: the checkout may have been moved or copied.
  if (existsSync(done) && (await tryCommand(program, ['--version'])) !== '') return program;
  mkdirSync(dir, { recursive: true });
  const root = await unpackWithDependencies(dir, suite, packages);
  await patchProgram(root, program, /^$/);
  await runCommand(program, ['--version']);
  writeFileSync(done, '');
  return program;
}

/** What a program prints; '' if it fails or is not there. */
function tryCommand(file: string, args: readonly string[]): Promise<string> {
  return runCommand(file, args).catch(() => '');
}

async function findInstalled(): Promise<NewerCriu | undefined> {
  const criu = (await tryCommand('which', ['criu'])).trim();
  const crun = (await tryCommand('which', ['crun'])).trim();
  if (criu === '' || crun === '') return undefined;
  const [check, version, libraries] = await Promise.all([
    tryCommand(criu, ['check']),
    tryCommand(crun, ['--version']),
    tryCommand('/sbin/ldconfig', ['-p']),
  ]);
  const works = check !== '' && version.includes('+CRIU') && libraries.includes('libcriu.so.2');
  return works ? { criu, crun, obstacle: undefined } : undefined;
}

/** Resolves with the programs; fetches and patches them only once. Needs root. */
export async function ensureNewerCriu(): Promise<NewerCriu> {
  const installed = await findInstalled();
  if (installed) return installed;
  const dir = cacheDir('tools');
  const criu = await ensureProgram(join(dir, `criu-${criuSuite}`), criuSuite, ['criu'], 'usr/sbin/criu');
  const crunDir = join(dir, `crun-criu-${crunSuite}`);
  const crun = await ensureProgram(crunDir, crunSuite, ['crun', 'libcriu2'], 'usr/bin/crun');
  const obstacle = await runCommand(criu, ['check']).then(
    () => undefined,
    (error: unknown) => String(error),
  );
  return { criu, crun, obstacle };
}

if (import.meta.main) console.log(await ensureNewerCriu());
