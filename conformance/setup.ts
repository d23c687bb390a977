/**
 * Prepares a machine for the privileged tests: Debian packages, and cgroup controllers that crun needs
 * out of the way. Run as a program it does both; other scripts import the two functions.
 *
 *   node conformance/setup.ts [--check]
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runCommand } from './command.ts';

/** What running the daemon needs. */
export const runtimePackages = [
  'crun',
  'conmon',
  'containernetworking-plugins',
  'nftables',
  'iptables',
  'catatonit',
  'iproute2',
] as const;

/** What running pods from local images needs beyond that: a registry and a small userland. */
export const demoPackages = ['docker-registry', 'busybox-static'] as const;

/** What building the conformance fixtures and running the suites needs beyond both. */
export const conformancePackages = [
  'runc',
  'criu',
  'util-linux',
  'procps',
  'conntrack',
  'skopeo',
  'buildah',
  'gcc',
  'libc6-dev',
  'make',
  'dpkg-dev',
  'bzip2',
  'xz-utils',
] as const;

/**
 * Installs the given Debian packages that are missing; does nothing (and takes milliseconds) when all are
 * there. Resolves with the names that were installed.
 * The Go toolchain that conformance/tools needs is newer than Debian's and is not installed here.
 */
export async function ensurePackages(names: readonly string[]): Promise<string[]> {
  const missing = await listMissingPackages(names);
  if (missing.length === 0) return [];
  // Packages here are tools for tests: no service of theirs (registry, container daemon) is to start, and
  // RUNLEVEL=1 has Debian's invoke-rc.d keep them down.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const install = ['-y', '-q', '--no-install-recommends', '-o', 'DPkg::Options::=--force-confold', 'install'];
  try {
    await runCommand('apt-get', [...install, ...missing], { env });
  } catch {
    // Stale or absent package lists are the usual reason; refresh them once and let the second try speak.
    await runCommand('apt-get', ['-q', 'update'], { env });
    await runCommand('apt-get', [...install, ...missing], { env });
  }
  return missing;
}

async function listMissingPackages(names: readonly string[]): Promise<string[]> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const query = ['-W', '-f', '${Package} ${db:Status-Status}\\n'];
  // dpkg-query fails when any name is unknown to it, and still prints the others.
  const text = await runCommand('sh', [
    '-c',
    'dpkg-query "$@" 2>/dev/null || true',
    'sh',
    ...query,
    ...names,
  ]);
  const installed = new Set(
    text
      .split('\n')
      .filter((line) => line.endsWith(' installed'))
      .map((line) => line.split(' ')[0]),
  );
  return names.filter((name) => !installed.has(name));
}

/**
 * Binds controllers left on the `unified` mount of a cgroup v1 hybrid host (typically hugetlb) to v1
 * hierarchies of their own, because crun refuses hybrid hosts whose unified tree has controllers. Does
 * nothing on pure v1 or v2 hosts. Resolves with an undo, to be called once, when no container runs any more.
 */
export async function prepareCgroups(): Promise<() => Promise<void>> {
  const listing = '/sys/fs/cgroup/unified/cgroup.controllers';
  if (!existsSync(listing)) return async () => {};
  const controllers = readFileSync(listing, 'utf8').trim().split(' ').filter(Boolean);
  const mounted: string[] = [];
  const undo = async () => {
    for (const dir of mounted.toReversed()) {
      await runCommand('umount', [dir]);
      rmdirSync(dir);
    }
  };
  try {
    for (const controller of controllers) {
      const dir = `/sys/fs/cgroup/${controller}`;
      mkdirSync(dir, { recursive: true });
      await runCommand('mount', ['-t', 'cgroup', '-o', controller, 'cgroup', dir]);
      mounted.push(dir);
    }
  } catch (cause) {
    await undo();
    throw new Error(`failed to mount the cgroup controllers ${controllers.join(', ')} as v1`, { cause });
  }
  return undo;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
  const wanted = [...runtimePackages, ...demoPackages, ...conformancePackages];
  if (values.check) {
    const missing = await listMissingPackages(wanted);
    console.log(missing.length === 0 ? 'all packages present' : `missing: ${missing.join(' ')}`);
    process.exitCode = missing.length === 0 ? 0 : 1;
    return;
  }
  const installed = await ensurePackages(wanted);
  await prepareCgroups();
  console.log(installed.length === 0 ? 'all packages present' : `installed: ${installed.join(' ')}`);
}

if (import.meta.main) await main();
