import { posix } from 'node:path';
import { cgroupLocation } from '../container/cgroup-location.ts';

/**
 * The pod's own cgroup below the mount, from the `cgroup_parent` that the client sent; undefined when it sent none or the
 * root, for the figures there would be those of others. The client sends a path for both drivers; a systemd slice stands
 * where its name says, whatever came before it (systemd.slice(5)).
 */
export function podCgroup(cgroupParent: string): string | undefined {
  const components = cgroupParent.split('/').filter((component) => component !== '' && component !== '.');
  const last = components.at(-1);
  if (last === undefined || components.includes('..')) return undefined;
  if (!last.endsWith('.slice')) return posix.join('/', ...components);
  const slice = posix.dirname(cgroupLocation(`${last}::any`));
  return slice === '/' ? undefined : slice;
}
