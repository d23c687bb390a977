/**
 * A newer crun than Debian 12's, from Debian 13's package, for what crun 1.8 cannot do (user namespaces of pods need 1.9).
 *
 *   node conformance/tools/newer-crun.ts      prints the path of the program
 */
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from '../cache.ts';
import { runCommand } from '../command.ts';
import { patchProgram, unpackPackages } from './debian-packages.ts';

const suite = 'trixie';
const packages = ['crun', 'libc6', 'libseccomp2', 'libyajl2', 'libcap2', 'libsystemd0'];

/** Resolves with the path of the program; fetches and patches it only once. Needs root. */
export async function ensureNewerCrun(): Promise<string> {
  const dir = join(cacheDir('tools'), `crun-${suite}`);
  const program = join(dir, 'crun');
  // Patched with the paths of this folder, it starts nowhere else: the checkout may have been moved or copied.
  const isUsable = existsSync(program) && (await runCommand(program, ['--version']).catch(() => '')) !== '';
  if (isUsable) return program;
  const root = await unpackPackages(dir, suite, packages);
  const patched = join(root, 'usr/bin/crun');
  await patchProgram(root, patched, /^lib(seccomp|yajl|cap|systemd)\.so/);
  await runCommand(patched, ['--version']);
  renameSync(patched, program);
  return program;
}

if (import.meta.main) console.log(await ensureNewerCrun());
