/**
 * Builds the pinned kubelet and the probe target into the cache. The first time takes ten minutes and more on two cores;
 * it runs at low priority and with two compilers at a time.
 *
 *   node conformance/kubelet/build.ts      prints the folder they are in
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from '../cache.ts';
import { runCommand } from '../command.ts';

export interface KubeletBinaries {
  readonly kubelet: string;
  /** Speaks agnhost's `grpc-health-checking`; static, so that it is an image by itself. */
  readonly health: string;
  /** Of the kubelet, as in `v1.36.3`. */
  readonly version: string;
}

const moduleDir = join(import.meta.dirname, 'module');
const sources = ['go.mod', 'go.sum', 'health/main.go'];

/**
 * Resolves with the paths of both programs. Builds only when the module or this script changed since the last build;
 * every version is pinned in module/go.mod. Needs Go 1.26 or newer and a module proxy or cache.
 */
export async function ensureKubelet(): Promise<KubeletBinaries> {
  const dir = cacheDir('kubelet', 'bin');
  const version = readPinnedVersion();
  const binaries = { kubelet: join(dir, 'kubelet'), health: join(dir, 'health'), version };
  const stamp = join(dir, 'recipe');
  const recipe = hashRecipe(moduleDir, sources);
  const isBuilt = existsSync(binaries.kubelet) && existsSync(binaries.health);
  if (isBuilt && existsSync(stamp) && readFileSync(stamp, 'utf8') === recipe) return binaries;
  await buildProgram(moduleDir, 'k8s.io/kubernetes/cmd/kubelet', binaries.kubelet, versionFlags(version));
  await buildProgram(moduleDir, './health', binaries.health, '-s -w');
  writeFileSync(stamp, recipe);
  return binaries;
}

/** Builds one program of a module, without cgo, in place of `target` in one step. */
export async function buildProgram(
  moduleDir: string,
  what: string,
  target: string,
  ldflags: string,
): Promise<void> {
  const args = ['build', '-p', '2', '-trimpath', '-buildvcs=false', '-mod=readonly', `-ldflags=${ldflags}`];
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '' };
  await runCommand('nice', ['-n', '10', 'go', ...args, '-o', `${target}.new`, what], { cwd: moduleDir, env });
  renameSync(`${target}.new`, target);
}

/** What upstream's release build sets; without it the kubelet calls itself v0.0.0 and refuses nothing it should. */
export function versionFlags(version: string): string {
  const [major = '', minor = ''] = version.slice(1).split('.');
  const values = { gitVersion: version, gitMajor: major, gitMinor: minor, gitTreeState: 'clean' };
  const packages = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'];
  const settings = packages.flatMap((name) =>
    Object.entries(values).map(([key, value]) => `-X ${name}.${key}=${value}`),
  );
  return ['-s', '-w', ...settings].join(' ');
}

/** Changes whenever one of the module's files or this script does. */
export function hashRecipe(moduleDir: string, sources: readonly string[]): string {
  const hash = createHash('sha256').update(readFileSync(import.meta.filename));
  for (const name of sources) hash.update(readFileSync(join(moduleDir, name)));
  return hash.digest('hex');
}

function readPinnedVersion(): string {
  const match = /k8s\.io\/kubernetes (v\S+)/.exec(readFileSync(join(moduleDir, 'go.mod'), 'utf8'));
  if (match?.[1] === undefined)
    throw new Error('no version of k8s.io/kubernetes in conformance/kubelet/module/go.mod');
  return match[1];
}

if (import.meta.main) {
  const binaries = await ensureKubelet();
  for (const [name, value] of Object.entries(binaries)) console.log(`${name}\t${value}`);
}
