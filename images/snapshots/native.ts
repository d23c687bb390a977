/**
 * Snapshots by plain copies, for file systems on which overlayfs does not work (itself an overlay, NFS, old XFS). Every
 * layer is the whole tree up to it, every active snapshot a copy; slow and large, but it needs nothing of the kernel.
 */
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { MS_BIND, MS_RDONLY } from '#host/mount.ts';
import type { Snapshot } from '../contract.ts';
import type { LayerProcesses } from '../worker/layer-processes.ts';
import { DirectorySnapshotter, type SnapshotForm, type SnapshotterOptions } from './directory-snapshotter.ts';
import type { SnapshotKind } from './snapshot-records.ts';
import type { UnpackPlace } from './snapshotter.ts';

class NativeForm implements SnapshotForm {
  readonly driver = 'native';
  readonly #processes: LayerProcesses;

  constructor(processes: LayerProcesses) {
    this.#processes = processes;
  }

  async finishLayer(
    place: UnpackPlace,
    parentDir: string | undefined,
  ): Promise<{ usedBytes: number; inodes: number }> {
    const target = `${place.directory}.merged`;
    const size = await this.#processes.run<'merge'>({
      type: 'merge',
      parent: parentDir,
      layer: place.directory,
      target,
    });
    const layer = `${place.directory}.layer`;
    renameSync(place.directory, layer);
    renameSync(target, place.directory);
    await this.#processes.run<'remove'>({ type: 'remove', directories: [layer] });
    return size;
  }

  async fill(directory: string, kind: SnapshotKind, stackDirs: readonly string[]): Promise<void> {
    const target = join(directory, 'fs');
    const [top] = stackDirs;
    // Nobody can write to a view: it needs no copy, only a directory to be known by.
    if (top === undefined || kind === 'view') mkdirSync(target, { mode: 0o755 });
    else await this.#processes.run<'merge'>({ type: 'merge', parent: undefined, layer: top, target });
  }

  describe(key: string, directory: string, kind: SnapshotKind, stackDirs: readonly string[]): Snapshot {
    const isView = kind === 'view';
    const source = isView ? stackDirs[0]! : join(directory, 'fs');
    return {
      key,
      mount: { type: 'none', source, flags: isView ? MS_BIND | MS_RDONLY : MS_BIND, data: '' },
      upperDir: isView ? undefined : source,
      lowerDirs: stackDirs.slice(0, 1),
    };
  }
}

/** See snapshotter.ts. */
export class NativeSnapshotter extends DirectorySnapshotter {
  constructor(options: SnapshotterOptions) {
    super(options, new NativeForm(options.processes));
  }
}
