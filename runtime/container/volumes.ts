/** Anonymous volumes: paths that an image declares (OCI image-spec config.md, `Volumes`) and the request does not mount over. */
import { chmodSync, chownSync, existsSync, mkdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { RuntimeError } from '#base/errors.ts';
import { run, succeeded } from '#host/launch.ts';
import { withDirectoryInRoot } from '#host/rooted.ts';
import type { ResolvedMount } from '../spec/inputs.ts';
import { cleanPath } from '../spec/mounts.ts';

/**
 * Makes a folder for each volume path that no requested mount covers, with the content, owner and mode that the image has
 * there. `rootfs` is mounted; a folder that the image lacks gets `owner`. The folders go with `removeVolumes`. Throws Internal when copying fails.
 */
export async function makeVolumes(
  volumePaths: readonly string[],
  requested: readonly { readonly containerPath: string }[],
  rootfs: string,
  directory: string,
  owner: { readonly uid: number; readonly gid: number },
  signal: AbortSignal,
): Promise<ResolvedMount[]> {
  const taken = new Set(requested.map((mount) => cleanPath(mount.containerPath)));
  const wanted = volumePaths.map(cleanPath).filter((path) => !taken.has(path) && path !== '/');
  const mounts: ResolvedMount[] = [];
  for (const [index, path] of [...new Set(wanted)].entries()) {
    const volume = join(directory, String(index));
    // A container that is revived finds what it left.
    if (!existsSync(volume)) {
      mkdirSync(volume, { recursive: true, mode: 0o755 });
      await copyUp({ rootfs, path, owner }, volume, signal);
    }
    mounts.push({
      containerPath: path,
      hostPath: volume,
      isReadonly: false,
      isRecursiveReadonly: false,
      propagation: 'private',
      uidMappings: [],
      gidMappings: [],
    });
  }
  return mounts;
}

/**
 * Copies, with owner and mode, what stands at `path` in the root file system, links kept as links. The folder is found without following links
 * out; nothing but this daemon writes there before the container starts, so its real path stays good for the copy.
 * Throws Internal.
 */
export async function copyUp(
  from: {
    readonly rootfs: string;
    readonly path: string;
    readonly owner: { readonly uid: number; readonly gid: number };
  },
  volume: string,
  signal: AbortSignal,
): Promise<void> {
  const { rootfs, path, owner } = from;
  const source = withDirectoryInRoot(rootfs, path, owner, (handle) => {
    const stat = statSync(handle);
    chownSync(volume, stat.uid, stat.gid);
    chmodSync(volume, stat.mode & 0o7777);
    return readlinkSync(handle);
  });
  const result = await run({
    path: '/bin/cp',
    args: ['-a', '--', `${source}/.`, volume],
    signal,
    timeoutMs: 600_000,
  });
  if (!succeeded(result.status))
    throw new RuntimeError(
      'Internal',
      `copying the image's ${path} into its volume: ${result.stderr.toString().trim()}`,
    );
}

/** Removes the folders with all that the container wrote there. Idempotent. Throws Internal. */
export async function removeVolumes(directory: string): Promise<void> {
  if (!existsSync(directory)) return;
  // By a program: a database of a million files must not hold up everybody else.
  const result = await run({ path: '/bin/rm', args: ['-rf', '--', directory] });
  if (!succeeded(result.status))
    throw new RuntimeError(
      'Internal',
      `removing the volumes at ${directory}: ${result.stderr.toString().trim().split('\n')[0]}`,
    );
}
