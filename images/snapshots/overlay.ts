/**
 * Snapshots by overlayfs (kernel documentation, filesystems/overlayfs): a layer is a directory of what it adds and hides,
 * an active snapshot an upper and a work directory over the stack of its layers. Nothing is mounted here.
 */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isDiskFull } from '#base/disk-full.ts';
import { messageOf, RuntimeError } from '#base/errors.ts';
import { longestMountOptions, MS_RDONLY, performMountAside, unmountAllAside } from '#host/mount.ts';
import { setXattr } from '#host/xattr.ts';
import type { Snapshot } from '../contract.ts';
import { DirectorySnapshotter, type SnapshotForm, type SnapshotterOptions } from './directory-snapshotter.ts';
import type { SnapshotKind } from './snapshot-records.ts';

/** OVL_MAX_STACK of the kernel. */
const mostLayers = 500;

function isModuleOptionOn(name: string): boolean {
  try {
    return readFileSync(`/sys/module/overlay/parameters/${name}`, 'latin1').startsWith('Y');
  } catch {
    return false; // this kernel does not have it
  }
}

/** Features that a kernel may have on by default and that do not go with layers shared between mounts. */
function offSwitches(): string[] {
  return ['nfs_export', 'index', 'metacopy'].filter(isModuleOptionOn).map((name) => `${name}=off`);
}

class OverlayForm implements SnapshotForm {
  readonly driver = 'overlay';
  readonly #emptyDir: string;
  readonly #switches: readonly string[];

  constructor(root: string) {
    this.#emptyDir = join(root, 'empty');
    mkdirSync(this.#emptyDir, { recursive: true, mode: 0o755 });
    this.#switches = offSwitches();
  }

  async finishLayer(): Promise<undefined> {
    return undefined;
  }

  fill(directory: string, _kind: SnapshotKind, stackDirs: readonly string[]): undefined {
    if (stackDirs.length > mostLayers)
      throw new RuntimeError(
        'FailedPrecondition',
        `overlayfs takes ${mostLayers} layers, this image has ${stackDirs.length}`,
      );
    const upper = join(directory, 'fs');
    mkdirSync(upper, { mode: 0o755 });
    mkdirSync(join(directory, 'work'), { mode: 0o700 });
    const [top] = stackDirs;
    if (top === undefined) return undefined;
    // The root that a container sees is the upper directory's: it has to look like the image's.
    const { uid, gid, mode } = statSync(top);
    chownSync(upper, uid, gid);
    chmodSync(upper, mode & 0o7777);
    return undefined;
  }

  describe(key: string, directory: string, kind: SnapshotKind, stackDirs: readonly string[]): Snapshot {
    const isView = kind === 'view';
    const upperDir = isView ? undefined : join(directory, 'fs');
    const lowerDirs = [...stackDirs];
    // Without an upper directory overlayfs wants two lower ones, with one, one.
    while (lowerDirs.length < (isView ? 2 : 1)) lowerDirs.push(this.#emptyDir);
    const options = [`lowerdir=${lowerDirs.join(':')}`];
    if (upperDir !== undefined) options.push(`upperdir=${upperDir}`, `workdir=${join(directory, 'work')}`);
    const data = [...options, ...this.#switches].join(',');
    return {
      key,
      mount: { type: 'overlay', source: 'overlay', flags: isView ? MS_RDONLY : 0, data },
      upperDir,
      lowerDirs: stackDirs,
    };
  }
}

/** See snapshotter.ts. Mount options longer than a page need Linux 6.5 (host/long-mount.ts): about 120 layers with short roots. */
export class OverlaySnapshotter extends DirectorySnapshotter {
  constructor(options: SnapshotterOptions) {
    super(options, new OverlayForm(options.root));
  }
}

/**
 * Whether overlayfs works on the file system of `root`: undefined, or why not. Mounts once for a moment, with a whiteout and
 * with the attribute that layers need; in a thread of the pool, for the unmount waits for the kernel's grace period.
 */
export async function findOverlayObstacle(root: string): Promise<string | undefined> {
  mkdirSync(root, { recursive: true, mode: 0o700 });
  let probe = '';
  try {
    probe = mkdtempSync(join(root, 'probe-'));
    const [lower, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map((name) =>
      join(probe, name),
    );
    for (const directory of [lower!, upper!, work!, merged!]) mkdirSync(directory);
    setXattr(lower!, 'trusted.overlay.opaque', Buffer.from('y'));
    const data = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
    await performMountAside({ type: 'overlay', source: 'overlay', flags: 0, data }, merged!);
    await unmountAllAside(merged!);
    return undefined;
  } catch (error) {
    // Says nothing about overlayfs, and layers that are here were made for it.
    if (isDiskFull(error)) return undefined;
    return `overlayfs does not work on ${root}: ${messageOf(error)}`;
  } finally {
    if (probe !== '') rmSync(probe, { recursive: true, force: true });
  }
}

/** Whether a snapshot's mount needs the newer mount calls. */
export function needsLongMount(snapshot: Snapshot): boolean {
  return Buffer.byteLength(snapshot.mount.data) > longestMountOptions;
}
