/**
 * Builds the pinned control plane and kubectl into the cache, of the release that the kubelet is. At low priority and with two
 * compilers at a time.
 *
 *   node conformance/cluster/build.ts      prints where they are
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from '../cache.ts';
import { buildProgram, ensureKubelet, hashRecipe, versionFlags } from '../kubelet/build.ts';

export interface ControlPlaneBinaries {
  readonly apiserver: string;
  readonly controllerManager: string;
  readonly scheduler: string;
  readonly kubectl: string;
}

const moduleDir = join(import.meta.dirname, 'module');

/** Resolves with the paths of the programs. Builds only when the module or the way to build changed since the last time. */
export async function ensureControlPlane(): Promise<ControlPlaneBinaries> {
  const dir = cacheDir('cluster', 'bin');
  const binaries = {
    kubectl: join(dir, 'kubectl'),
    scheduler: join(dir, 'kube-scheduler'),
    apiserver: join(dir, 'kube-apiserver'),
    controllerManager: join(dir, 'kube-controller-manager'),
  };
  const stamp = join(dir, 'recipe');
  const recipe = hashRecipe(moduleDir, ['go.mod', 'go.sum']);
  const isBuilt = Object.values(binaries).every((path) => existsSync(path));
  if (isBuilt && existsSync(stamp) && readFileSync(stamp, 'utf8') === recipe) return binaries;
  const flags = versionFlags(readPinnedVersion());
  for (const path of Object.values(binaries))
    await buildProgram(moduleDir, `k8s.io/kubernetes/cmd/${path.slice(dir.length + 1)}`, path, flags);
  writeFileSync(stamp, recipe);
  return binaries;
}

function readPinnedVersion(): string {
  const match = /k8s\.io\/kubernetes (v\S+)/.exec(readFileSync(join(moduleDir, 'go.mod'), 'utf8'));
  if (match?.[1] === undefined)
    throw new Error('no version of k8s.io/kubernetes in conformance/cluster/module/go.mod');
  return match[1];
}

if (import.meta.main) {
  await ensureKubelet();
  for (const [name, path] of Object.entries(await ensureControlPlane())) console.log(`${name}\t${path}`);
}
