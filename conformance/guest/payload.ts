/** The guest's second disk: this project as it is now, with the tools, the suite's images and Node, for nothing is fetched inside. */
import { cpSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir, projectRoot } from '../cache.ts';
import { serveFixtures } from '../fixtures/store.ts';
import { ensureTools } from '../tools/build.ts';
import { makeDisk } from './disk.ts';
import type { GuestTask } from './task.ts';

const diskSize = 2 * 2 ** 30;

/** Packages that nothing in the guest needs. */
const unneededModules = ['@biomejs', 'typescript', '.cache', '.vite'];

/** Writes the image for a task, where `machine.ts` takes it. Builds the tools and images that are missing. */
export async function makePayload(task: GuestTask, image: string): Promise<void> {
  const folder = `${image}.folder`;
  await ensureTools();
  // Puts every image into the registry's folder, so that the one in the guest only has to serve them.
  const registry = await serveFixtures({ hostsDir: `${image}.hosts` });
  await registry.stop();
  rmSync(`${image}.hosts`, { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
  try {
    copyProject(folder);
    copyCache(folder);
    writeFileSync(join(folder, 'guest-task.json'), JSON.stringify(task));
    await makeDisk(folder, image, diskSize);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function copyProject(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(projectRoot)) {
    if (['.git', '.cache', 'node_modules'].includes(name)) continue;
    cpSync(join(projectRoot, name), join(folder, name), { recursive: true, verbatimSymlinks: true });
  }
  mkdirSync(join(folder, 'node_modules'));
  for (const name of readdirSync(join(projectRoot, 'node_modules'))) {
    if (unneededModules.includes(name)) continue;
    const from = join(projectRoot, 'node_modules', name);
    cpSync(from, join(folder, 'node_modules', name), { recursive: true, verbatimSymlinks: true });
  }
}

function copyCache(folder: string): void {
  for (const path of [
    'tools/crictl',
    'tools/critest',
    'tools/recipe',
    'fixtures/layout',
    'fixtures/registry',
  ]) {
    const from = join(cacheDir(), path);
    if (statSync(from, { throwIfNoEntry: false }) === undefined) continue;
    cpSync(from, join(folder, '.cache', path), { recursive: true });
  }
  // The list of tools is complete only with this one, which a serial run does not start.
  cpSync('/bin/true', join(folder, '.cache/tools/ginkgo'));
}
