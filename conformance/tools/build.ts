/**
 * Builds the pinned crictl, critest and ginkgo (which runs critest in parallel) into the cache.
 *
 *   node conformance/tools/build.ts      prints the folder they are in
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from '../cache.ts';
import { runCommand } from '../command.ts';

export interface Tools {
  readonly crictl: string;
  readonly critest: string;
  readonly ginkgo: string;
}

const moduleDir = import.meta.dirname;
const criTools = 'sigs.k8s.io/cri-tools';
const flags = ['-p', '2', '-trimpath', '-buildvcs=false', '-mod=readonly'];

/**
 * Resolves with the paths of the built tools. Builds only when go.mod, go.sum or this script changed since
 * the last build; the module versions are pinned there. Needs Go 1.26.2, or any Go since 1.21 that may
 * fetch its toolchain, and a module proxy or cache.
 */
export async function ensureTools(): Promise<Tools> {
  const dir = cacheDir('tools');
  const tools = { crictl: join(dir, 'crictl'), critest: join(dir, 'critest'), ginkgo: join(dir, 'ginkgo') };
  const stamp = join(dir, 'recipe');
  const recipe = hashRecipe();
  const isCurrent =
    existsSync(stamp) &&
    readFileSync(stamp, 'utf8') === recipe &&
    Object.values(tools).every((path) => existsSync(path));
  if (isCurrent) return tools;
  const version = readPinnedVersion();
  // Set as upstream's release build does, so that `crictl --version` tells the truth.
  const ldflags = `-ldflags=-s -w -X ${criTools}/pkg/version.Version=${version}`;
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '' };
  const go = (args: string[]) => runCommand('go', args, { cwd: moduleDir, env });
  await go(['build', ...flags, ldflags, '-o', `${tools.crictl}.new`, `${criTools}/cmd/crictl`]);
  await go(['test', '-c', ...flags, ldflags, '-o', `${tools.critest}.new`, `${criTools}/cmd/critest`]);
  await go([
    'build',
    ...flags,
    '-ldflags=-s -w',
    '-o',
    `${tools.ginkgo}.new`,
    'github.com/onsi/ginkgo/v2/ginkgo',
  ]);
  for (const path of Object.values(tools)) renameSync(`${path}.new`, path);
  writeFileSync(stamp, recipe);
  return tools;
}

function hashRecipe(): string {
  const hash = createHash('sha256');
  for (const name of ['go.mod', 'go.sum', 'build.ts']) hash.update(readFileSync(join(moduleDir, name)));
  return hash.digest('hex');
}

function readPinnedVersion(): string {
  const match = /sigs\.k8s\.io\/cri-tools v(\S+)/.exec(readFileSync(join(moduleDir, 'go.mod'), 'utf8'));
  if (match?.[1] === undefined) throw new Error('no version of cri-tools in conformance/tools/go.mod');
  return match[1];
}

if (import.meta.main) {
  const tools = await ensureTools();
  for (const [name, path] of Object.entries(tools)) console.log(`${name}\t${path}`);
}
