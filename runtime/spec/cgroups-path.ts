/** Where a container's cgroup is (CRI LinuxPodSandboxConfig.cgroup_parent; OCI config-linux.md Cgroups Path). */
import { posix } from 'node:path';
import { RuntimeError } from '#base/errors.ts';
import type { HostFacts } from './inputs.ts';

/** Names the scopes of Berth's containers: `berth-ID.scope`. */
const scopePrefix = 'berth';
const defaultSlice = 'system.slice';

/**
 * The `cgroupsPath` of a spec. cgroupfs: `PARENT/ID`, absolute, below the root for an empty parent. systemd: `SLICE:berth:ID`
 * with the last component of the parent, system.slice for an empty one. Throws InvalidArgument when the parent has the
 * other driver's form, which is how a kubelet and a runtime of different drivers find out.
 */
export function cgroupsPath(driver: HostFacts['cgroupDriver'], parent: string, id: string): string {
  const components = parent.split('/').filter((component) => component !== '' && component !== '.');
  if (components.includes('..') || parent.includes('\0')) {
    throw new RuntimeError('InvalidArgument', `cgroup parent ${JSON.stringify(parent)} is not a plain path`);
  }
  const last = components.at(-1);
  if (driver === 'cgroupfs') {
    if (last?.endsWith('.slice')) {
      throw new RuntimeError(
        'InvalidArgument',
        `cgroup parent ${parent} is a systemd slice but the cgroup driver is cgroupfs, make the kubelet's driver the same`,
      );
    }
    return posix.join('/', ...components, id);
  }
  const slice = last ?? defaultSlice;
  if (!slice.endsWith('.slice') || slice.includes(':')) {
    throw new RuntimeError(
      'InvalidArgument',
      `cgroup parent ${parent} is not a systemd slice but the cgroup driver is systemd, make the kubelet's driver the same`,
    );
  }
  return `${slice}:${scopePrefix}:${id}`;
}

/**
 * Where the kernel shows the cgroup that a `cgroupsPath` names, relative to the hierarchy's root: systemd nests
 * `a-b.slice` in `a.slice`, and a scope in its slice (systemd.slice(5)).
 */
export function cgroupDirectory(path: string): string {
  const parts = path.split(':');
  if (parts.length !== 3) return path;
  const [slice = '', prefix, name] = parts;
  return posix.join('/', ...expandSlice(slice), prefix === '' ? `${name}.scope` : `${prefix}-${name}.scope`);
}

function expandSlice(slice: string): string[] {
  const stem = slice.slice(0, -'.slice'.length);
  // `-.slice` is the root itself.
  if (stem === '-') return [];
  const words = stem.split('-');
  return words.map((_, index) => `${words.slice(0, index + 1).join('-')}.slice`);
}
