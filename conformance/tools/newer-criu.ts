/**
 * CRIU and a crun that is built with it: those of the machine if they work, else from Debian 13's packages. Debian 12's crun is
 * built without, and its criu 3.17 does not work on newer kernels.
 *
 *   node conformance/tools/newer-criu.ts      prints the paths of criu and crun
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from '../cache.ts';
import { runCommand } from '../command.ts';
import { patchProgram, unpackPackages } from './debian-packages.ts';

const suite = 'trixie';
/** crun calls CRIU through libcriu2. The others are what criu and crun are linked with, and these in turn. */
const packages = [
  ...['criu', 'libcriu2', 'crun', 'libc6', 'libgcc-s1'],
  ...['libseccomp2', 'libyajl2', 'libcap2', 'libsystemd0', 'libprotobuf-c1', 'libnl-3-200', 'libnet1'],
  ...['libbsd0', 'libmd0', 'libuuid1', 'libnftables1', 'libnftnl11', 'libmnl0', 'libxtables12'],
  ...['libjansson4', 'libedit2', 'libtinfo6', 'libgnutls30t64', 'libp11-kit0', 'libidn2-0'],
  ...['libunistring5', 'libtasn1-6', 'libnettle8t64', 'libhogweed6t64', 'libgmp10', 'libffi8', 'zlib1g'],
];

export interface NewerCriu {
  readonly criu: string;
  readonly crun: string;
  /** undefined if `criu check` passes here, else its words. */
  readonly obstacle: string | undefined;
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
  const dir = join(cacheDir('tools'), `criu-${suite}`);
  const root = join(dir, 'root');
  const criu = join(root, 'usr/sbin/criu');
  const crun = join(root, 'usr/bin/crun');
  const done = join(dir, 'done');
  if (!existsSync(done)) {
    mkdirSync(dir, { recursive: true });
    await unpackPackages(dir, suite, packages);
    for (const program of [criu, crun]) await patchProgram(root, program, /^$/);
    await runCommand(crun, ['--version']);
    writeFileSync(done, '');
  }
  const obstacle = await runCommand(criu, ['check']).then(
    () => undefined,
    (error: unknown) => String(error),
  );
  return { criu, crun, obstacle };
}

if (import.meta.main) console.log(await ensureNewerCriu());
