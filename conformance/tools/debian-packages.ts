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

/** Options with which apt keeps lists of its own in `dir`, so that its settings on this machine stay as they are. */
async function openArchive(dir: string, suite: string): Promise<string[]> {
  rmSync(dir, { recursive: true, force: true });
  for (const name of ['lists', 'cache/archives/partial']) mkdirSync(join(dir, name), { recursive: true });
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
  return options;
}

async function unpackAll(folder: string, root: string): Promise<void> {
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.deb')))
    await runCommand('dpkg', ['-x', join(folder, name), root]);
}

/** Fetches packages of a release and unpacks them into `dir`/root, which is made anew; resolves with that path. Needs root. */
export async function unpackPackages(
  dir: string,
  suite: string,
  packages: readonly string[],
): Promise<string> {
  const options = await openArchive(dir, suite);
  const named = packages.map((name) => `${name}/${suite}`);
  await runCommand('apt-get', ['-q', ...options, 'download', ...named], { cwd: dir });
  const root = join(dir, 'root');
  await unpackAll(dir, root);
  return root;
}

/** The same with everything that the packages depend on, as for a machine on which nothing is installed. */
export async function unpackWithDependencies(
  dir: string,
  suite: string,
  packages: readonly string[],
): Promise<string> {
  const options = await openArchive(dir, suite);
  const status = join(dir, 'status');
  writeFileSync(status, '');
  const nothingInstalled = ['-o', `Dir::State::status=${status}`, '-o', 'Debug::NoLocking=true'];
  const how = ['-y', '--no-install-recommends', '--download-only', 'install'];
  await runCommand('apt-get', ['-q', ...options, ...nothingInstalled, ...how, ...packages], { cwd: dir });
  const root = join(dir, 'root');
  await unpackAll(join(dir, 'cache/archives'), root);
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
