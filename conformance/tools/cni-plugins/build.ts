/**
 * Builds the reference CNI plugins of a release that knows CNI 1.1.0 (STATUS, GC), from their pinned modules: those of Debian do
 * not. Their GC does nothing, as in every release so far; what is called, and what fails, is the same.
 *
 *   node conformance/tools/cni-plugins/build.ts      prints the folder they are in
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from '../../cache.ts';
import { runCommand } from '../../command.ts';

const modulePath = 'github.com/containernetworking/plugins/plugins';
const programs = { bridge: 'main/bridge', 'host-local': 'ipam/host-local' };
const flags = ['-p', '2', '-trimpath', '-buildvcs=false', '-mod=readonly'];

const folder = (): string => cacheDir('tools', 'cni-plugins');

/** The folder with the plugins, if they were built; undefined else. */
export function findModernPlugins(): string | undefined {
  const dir = folder();
  return Object.keys(programs).every((name) => existsSync(join(dir, name))) ? dir : undefined;
}

/** Resolves with the folder of the plugins. Takes no time when nothing changed. Needs Go, and a module proxy or cache. */
export async function buildModernPlugins(): Promise<string> {
  const dir = folder();
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '' };
  for (const [name, path] of Object.entries(programs))
    await runCommand('go', ['build', ...flags, '-o', join(dir, name), `${modulePath}/${path}`], {
      cwd: import.meta.dirname,
      env,
    });
  return dir;
}

if (import.meta.main) console.log(await buildModernPlugins());
