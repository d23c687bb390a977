/** What a daemon whose pods are all removed may still have on the machine: nothing but its images. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { listMounts, unmountAll } from '#host/mount.ts';
import { listDescendants, listProcessesOf } from '#host/proc.ts';

interface Place {
  readonly dir: string;
  readonly name: string;
  readonly pid: number;
}

const cgroupRoot = '/sys/fs/cgroup';

/** A line for each thing that is left of pods. */
export function findLeft({ dir, name, pid }: Place): string[] {
  const filesIn = (...path: string[]) => list(join(dir, ...path)).map((file) => join(...path, file));
  return [
    ...listMounts()
      .filter(
        ({ mountPoint }) => mountPoint.startsWith(`${dir}/`) && mountPoint !== join(dir, 'run', 'namespaces'),
      )
      .map(({ mountPoint }) => `mount ${mountPoint}`),
    ...monitorsBelow(dir).map((command) => `process ${command.slice(0, 300)}`),
    // Programs of the daemon that work on; it may keep a process for unpacking layers a while.
    ...listDescendants(pid).flatMap((child) => {
      const [found] = listProcessesOf(() => true).filter((process) => process.pid === child);
      return found && !found.command.some((word) => /images.worker|berthd: layers/.test(word))
        ? [`child ${found.command.join(' ').slice(0, 300)}`]
        : [];
    }),
    ...list(`/sys/class/net/${name}/brif`).map((port) => `interface ${port}`),
    ...cgroupsOf(name).map((group) => `cgroup ${group}`),
    ...['bundles', 'sandboxes', 'exits', 'attach', 'namespaces', 'oci/crun', 'm', 'console']
      .flatMap((folder) => filesIn('run', folder))
      .map((file) => `file ${file}`),
    ...[...filesIn('netns'), ...filesIn('lib', 'volumes'), ...filesIn('cni', 'cache', 'results')].map(
      (file) => `file ${file}`,
    ),
    ...filesIn('cni', 'ipam', name)
      .filter((file) => /\d+\.\d+\.\d+\.\d+$/.test(file) && !file.includes('last_reserved'))
      .map((file) => `address ${file}`),
  ];
}

/** Takes away what a failed test left, so that the next one starts clean: exactly these processes, mounts and groups. */
export async function removeLeft({ dir, name }: Place): Promise<void> {
  for (const found of listProcessesOf((path) => path.endsWith('conmon'))) {
    if (!found.command.some((word) => word.startsWith(`${dir}/`))) continue;
    for (const pid of [...listDescendants(found.pid), found.pid]) kill(pid);
  }
  for (const { mountPoint } of listMounts().toReversed())
    if (mountPoint.startsWith(`${dir}/`)) unmountAll(mountPoint);
  for (const hierarchy of hierarchies()) removeTree(join(hierarchy, name));
  // systemd keeps a slice that it made by itself; stopping it ends what is in it.
  if (existsSync('/run/systemd/system'))
    spawnSync('systemctl', ['stop', `${name}.slice`], { stdio: 'ignore' });
}

function monitorsBelow(dir: string): string[] {
  return listProcessesOf((path) => path !== 'docker-registry').flatMap(({ command, pid }) =>
    pid !== process.pid &&
    !command.some((word) => word.endsWith('config.toml')) &&
    command.some((word) => word.includes(`${dir}/`))
      ? [command.join(' ')]
      : [],
  );
}

function hierarchies(): string[] {
  return existsSync(join(cgroupRoot, 'cgroup.controllers'))
    ? [cgroupRoot]
    : list(cgroupRoot).map((hierarchy) => join(cgroupRoot, hierarchy));
}

/** Groups of containers below the pods' parent; those of pods are the client's. */
function cgroupsOf(name: string): string[] {
  return hierarchies().flatMap((hierarchy) => [
    ...list(join(hierarchy, name), true)
      .filter((group) => /^[0-9a-f]{64}$/.test(group))
      .map((group) => join(hierarchy, name, group)),
    ...scopesBelow(join(hierarchy, `${name}.slice`)),
  ]);
}

/** Groups of containers in a slice and in those below it. */
function scopesBelow(slice: string): string[] {
  return list(slice, true).flatMap((group) =>
    group.endsWith('.scope') ? [join(slice, group)] : scopesBelow(join(slice, group)),
  );
}

function removeTree(directory: string): void {
  for (const group of list(directory, true)) removeTree(join(directory, group));
  if (!existsSync(directory)) return;
  try {
    rmdirSync(directory);
  } catch {
    // Something lives in it still, which the test has complained of.
  }
}

function list(directory: string, onlyFolders = false): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => !onlyFolders || entry.isDirectory())
      .map(({ name }) => name);
  } catch {
    return []; // nothing was ever made there
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // gone with its parent
  }
}
