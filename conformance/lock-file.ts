/**
 * Keeps package-lock.json such that `npm ci` installs the same on every npm and every Node that Debian ships.
 *
 *   node conformance/lock-file.ts            writes what is missing; part of `make generate`, to be run after `npm install`
 *   node conformance/lock-file.ts --check    writes nothing; exit 1 if something is missing
 *   node conformance/lock-file.ts --installed    exit 1 if node_modules is not what the lock file says
 *
 * npm leaves out an optional package without a word if its `engines` do not allow the Node that npm runs on. Here the
 * packages run on the pinned Node whatever npm runs on, and the native part of a tool is "optional", so optional packages
 * stand in the lock file without `engines`. npm 11 in turn refuses a lock file in which an optional package is missing,
 * which happens when a registry has not got the build for some other system; those are added, without a checksum.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './cache.ts';

interface LockedPackage {
  version?: string;
  optional?: boolean;
  dev?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  engines?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

interface LockFile {
  packages: Record<string, LockedPackage>;
}

/** Changes `lock` and returns what it changed. */
function complete(lock: LockFile): string[] {
  const changes: string[] = [];
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (entry.optional === true && entry.engines !== undefined) {
      delete entry.engines;
      changes.push(`${path} has engines`);
    }
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (path === '' || isPresent(lock, path, name)) continue;
      lock.packages[`node_modules/${name}`] = describeAbsent(name, version, entry.dev === true);
      changes.push(`${name} is missing`);
    }
  }
  lock.packages = Object.fromEntries(Object.entries(lock.packages).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  return changes;
}

function isPresent(lock: LockFile, parent: string, name: string): boolean {
  return [`node_modules/${name}`, `${parent}/node_modules/${name}`].some((path) => path in lock.packages);
}

const systems = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const processors = ['arm', 'arm64', 'ia32', 'ppc64', 's390x', 'wasm32', 'x64'];

/** An entry for a build that the registry has not got: names of such packages end in system, processor and C library. */
function describeAbsent(name: string, version: string, isDev: boolean): LockedPackage {
  const words = name.split(/[-/]/);
  const os = words.filter((word) => systems.includes(word));
  const cpu = words.filter((word) => processors.includes(word));
  const isOurs = os.includes('linux') && cpu.includes(process.arch) && !words.includes('musl');
  if (os.length === 0 || isOurs)
    throw new Error(`${name} is needed here and stands not in package-lock.json`);
  return {
    version,
    cpu,
    ...(isDev && { dev: true }),
    ...(words.includes('musl') && { libc: ['musl'] }),
    optional: true,
    os,
  };
}

/** Whether an optional package is the native part of a tool for this system. */
function isBuildForUs({ os, cpu, libc }: LockedPackage): boolean {
  const isGlibc = libc === undefined || libc.includes('glibc');
  return os?.includes('linux') === true && cpu?.includes(process.arch) === true && isGlibc;
}

/** Packages that are not installed, or in another version. npm keeps a list of what it installed in node_modules. */
function listOutdated(locked: LockFile, installed: LockFile): string[] {
  return Object.entries(locked.packages)
    .filter(([path, entry]) => path !== '' && (entry.optional !== true || isBuildForUs(entry)))
    .filter(([path, { version }]) => installed.packages[path]?.version !== version)
    .map(([path]) => path);
}

const readLock = (path: string): LockFile => JSON.parse(readFileSync(path, 'utf8')) as LockFile;

const file = join(projectRoot, 'package-lock.json');
const lock = readLock(file);
if (process.argv.includes('--installed')) {
  const outdated = listOutdated(lock, readLock(join(projectRoot, 'node_modules/.package-lock.json')));
  if (outdated.length > 0) console.log(`to be installed anew: ${outdated.join(', ')}`);
  process.exit(outdated.length > 0 ? 1 : 0);
}
const changes = complete(lock);
if (changes.length > 0) {
  if (process.argv.includes('--check')) {
    console.error(`package-lock.json: ${changes.join(', ')}: run make generate`);
    process.exitCode = 1;
  } else {
    writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
    console.log(`package-lock.json: changed, for ${changes.length} packages`);
  }
}
