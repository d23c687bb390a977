/**
 * A newer crun than Debian 12's, from Debian 13's package, for what crun 1.8 cannot do (user namespaces of pods need 1.9).
 * It runs on Debian 12 with the C library and the other libraries of its own release, found by patched paths; nothing is
 * installed on the machine.
 *
 *   node conformance/tools/newer-crun.ts      prints the path of the program
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from '../cache.ts';
import { runCommand } from '../command.ts';
import { ensurePackages } from '../setup.ts';

const suite = 'trixie';
const packages = ['crun', 'libc6', 'libseccomp2', 'libyajl2', 'libcap2', 'libsystemd0'];

/** The address of the Debian archive that this machine uses, from apt's own sources. */
function archiveAddress(): string {
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

/** Fetches the packages into `dir` with lists of our own, so that apt's settings on this machine stay as they are. */
async function fetchPackages(dir: string): Promise<void> {
  const sources = join(dir, 'sources.list');
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  writeFileSync(sources, `deb [signed-by=${keyring}] ${archiveAddress()} ${suite} main\n`);
  for (const name of ['lists', 'cache']) mkdirSync(join(dir, name), { recursive: true });
  const options = [
    `Dir::Etc::sourcelist=${sources}`,
    'Dir::Etc::sourceparts=/dev/null',
    `Dir::State::lists=${join(dir, 'lists')}`,
    `Dir::Cache=${join(dir, 'cache')}`,
    'APT::Sandbox::User=root',
  ].flatMap((option) => ['-o', option]);
  await runCommand('apt-get', ['-q', ...options, 'update'], { cwd: dir });
  await runCommand('apt-get', ['-q', ...options, 'download', ...packages], { cwd: dir });
}

/** Resolves with the path of the program; fetches and patches it only once. Needs root. */
export async function ensureNewerCrun(): Promise<string> {
  const dir = join(cacheDir('tools'), `crun-${suite}`);
  const program = join(dir, 'crun');
  if (existsSync(program)) return program;
  await ensurePackages(['patchelf']);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  await fetchPackages(dir);
  const root = join(dir, 'root');
  for (const name of readdirSync(dir).filter((file) => file.endsWith('.deb')))
    await runCommand('dpkg', ['-x', join(dir, name), root]);
  const libraries = join(root, 'usr/lib', `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`);
  const loader = readdirSync(libraries).find((name) => name.startsWith('ld-linux'));
  if (loader === undefined) throw new Error(`no dynamic loader in ${libraries}`);
  for (const name of readdirSync(libraries))
    if (/^lib(seccomp|yajl|cap|systemd)\.so/.test(name))
      await runCommand('patchelf', ['--force-rpath', '--set-rpath', libraries, join(libraries, name)]);
  const patched = join(root, 'usr/bin/crun');
  await runCommand('patchelf', [
    '--set-interpreter',
    join(libraries, loader),
    '--force-rpath',
    '--set-rpath',
    libraries,
    patched,
  ]);
  await runCommand(patched, ['--version']);
  renameSync(patched, program);
  return program;
}

if (import.meta.main) console.log(await ensureNewerCrun());
