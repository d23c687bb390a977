/**
 * Programs of another Debian release than the machine's: their packages are unpacked into a folder, and run with the C library
 * and the other libraries of their own release, found by patched paths. Nothing is installed on the machine.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../command.ts';
import { ensurePackages } from '../setup.ts';

/** The address of the Debian archive that this machine uses, from apt's own sources. */
export function archiveAddress(): string {
  const folder = '/etc/apt/sources.list.d';
  const files = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
  for (const file of ['/etc/apt/sources.list', ...files]) {
    if (!existsSync(file)) continue;
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      if (line.trimStart().startsWith('#')) continue;
      const address = /\bhttps?:\/\/\S+?\/debian\/?(?=\s|$)/.exec(line)?.[0];
      if (address !== undefined) return address;
    }
  }
  throw new Error("no Debian archive is named in apt's sources");
}

/**
 * Fetches packages of a release and unpacks them into `dir`/root, which is made anew; resolves with that path. Lists of our own
 * are used, so that apt's settings on this machine stay as they are. Needs root.
 */
export async function unpackPackages(
  dir: string,
  suite: string,
  packages: readonly string[],
): Promise<string> {
  rmSync(dir, { recursive: true, force: true });
  for (const name of ['lists', 'cache']) mkdirSync(join(dir, name), { recursive: true });
  const sources = join(dir, 'sources.list');
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  writeFileSync(sources, `deb [signed-by=${keyring}] ${archiveAddress()} ${suite} main\n`);
  const options = [
    `Dir::Etc::sourcelist=${sources}`,
    'Dir::Etc::sourceparts=/dev/null',
    `Dir::State::lists=${join(dir, 'lists')}`,
    `Dir::Cache=${join(dir, 'cache')}`,
    'APT::Sandbox::User=root',
  ].flatMap((option) => ['-o', option]);
  await runCommand('apt-get', ['-q', ...options, 'update'], { cwd: dir });
  const named = packages.map((name) => `${name}/${suite}`);
  await runCommand('apt-get', ['-q', ...options, 'download', ...named], { cwd: dir });
  const root = join(dir, 'root');
  for (const name of readdirSync(dir).filter((file) => file.endsWith('.deb')))
    await runCommand('dpkg', ['-x', join(dir, name), root]);
  return root;
}

/** Has a program of an unpacked tree, and the libraries of `patterns`, find their loader and libraries in it. */
export async function patchProgram(root: string, program: string, patterns: RegExp): Promise<void> {
  await ensurePackages(['patchelf']);
  const libraries = join(root, 'usr/lib', `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`);
  const loader = readdirSync(libraries).find((name) => name.startsWith('ld-linux'));
  if (loader === undefined) throw new Error(`no dynamic loader in ${libraries}`);
  const search = ['--force-rpath', '--set-rpath', libraries];
  for (const name of readdirSync(libraries))
    if (patterns.test(name)) await runCommand('patchelf', [...search, join(libraries, name)]);
  await runCommand('patchelf', ['--set-interpreter', join(libraries, loader), ...search, program]);
}
