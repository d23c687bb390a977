/** What every snapshotter must do, run against each of them by its own test. */
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import pino from 'pino';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeNode } from '#host/file-metadata.ts';
import { performMount, unmountAll } from '#host/mount.ts';
import { setXattr } from '#host/xattr.ts';
import type { ChainId, Snapshot } from '../../contract.ts';
import { digestOf } from '../../digest.ts';
import { LayerProcesses } from '../../worker/layer-processes.ts';
import type { SnapshotterOptions } from '../directory-snapshotter.ts';
import type { LayerSnapshotter } from '../snapshotter.ts';

export const chain = (name: string) => digestOf(name) as ChainId;

/** Everything a snapshotter is given, on a directory and a database of its own. */
export class SnapshotterBench {
  readonly root = mkdtempSync(join(tmpdir(), 'snapshots-'));
  readonly database = new DatabaseSync(join(this.root, 'db'));
  readonly processes = new LayerProcesses({
    log: pino({ level: 'silent' }),
    mostProcesses: 1,
    lingerMs: 100,
  });
  readonly #mounts: string[] = [];

  options(more: Partial<SnapshotterOptions> = {}): SnapshotterOptions {
    const { database, processes } = this;
    const log = pino({ level: 'silent' });
    return { root: join(this.root, 's'), database, processes, log, bootId: 'boot-1', ...more };
  }

  /** Mounts a snapshot, hands over where, and unmounts it. */
  async mounted<T>(snapshot: Snapshot, look: (directory: string) => T): Promise<T> {
    const directory = join(this.root, `mount-${this.#mounts.length}`);
    mkdirSync(directory);
    this.#mounts.push(directory);
    performMount(snapshot.mount, directory);
    try {
      return look(directory);
    } finally {
      unmountAll(directory);
    }
  }

  async close(): Promise<void> {
    for (const directory of this.#mounts) unmountAll(directory);
    await this.processes.close();
    this.database.close();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Commits a layer with these files; a name that ends with a slash is a directory. */
export async function commit(
  snapshotter: LayerSnapshotter,
  name: string,
  parent: string | undefined,
  fill: (directory: string) => void,
): Promise<ChainId> {
  const place = snapshotter.startLayer();
  mkdirSync(place.directory);
  fill(place.directory);
  const chainId = chain(name);
  await snapshotter.commitLayer({
    chainId,
    parent: parent === undefined ? undefined : chain(parent),
    place,
    usedBytes: 4096,
    inodes: 3,
  });
  return chainId;
}

const names = (directory: string) => readdirSync(directory).sort();

/** Runs the suite. */
export function snapshotterSuite(
  name: string,
  make: (options: SnapshotterOptions) => LayerSnapshotter,
): void {
  describe(`${name} snapshots`, () => {
    let bench: SnapshotterBench;
    let snapshotter: LayerSnapshotter;
    const open: SnapshotterBench[] = [];
    beforeEach(() => {
      bench = new SnapshotterBench();
      open.push(bench);
      snapshotter = make(bench.options());
    });
    afterEach(async () => {
      for (const one of open.splice(0)) await one.close();
    });
    afterAll(async () => {
      for (const one of open) await one.close();
    });

    const base = () =>
      commit(snapshotter, 'base', undefined, (directory) => {
        writeFileSync(join(directory, 'low'), 'low');
        writeFileSync(join(directory, 'gone'), 'gone');
        mkdirSync(join(directory, 'd/sub'), { recursive: true });
        writeFileSync(join(directory, 'd/old'), 'old');
        chownSync(directory, 11, 12);
      });
    const top = () =>
      commit(snapshotter, 'top', 'base', (directory) => {
        writeFileSync(join(directory, 'low'), 'high');
        makeNode(join(directory, 'gone'), 'char', 0, 0);
        mkdirSync(join(directory, 'd'));
        setXattr(join(directory, 'd'), 'trusted.overlay.opaque', Buffer.from('y'));
        writeFileSync(join(directory, 'd/new'), 'new');
        chownSync(directory, 21, 22);
      });

    it('show the layers over one another, and keep what is written to themselves', async () => {
      await base();
      const parent = await top();
      const snapshot = await snapshotter.prepare('c1', parent);
      await bench.mounted(snapshot, (directory) => {
        expect(names(directory)).toEqual(['d', 'low']);
        expect(names(join(directory, 'd'))).toEqual(['new']);
        expect(readFileSync(join(directory, 'low'), 'utf8')).toBe('high');
        expect(lstatSync(directory)).toMatchObject({ uid: 21, gid: 22 });
        writeFileSync(join(directory, 'low'), 'mine');
        rmSync(join(directory, 'd'), { recursive: true });
      });
      await bench.mounted((await snapshotter.prepare('c2', parent))!, (directory) => {
        expect(readFileSync(join(directory, 'low'), 'utf8')).toBe('high');
        expect(names(directory)).toEqual(['d', 'low']);
      });
      await bench.mounted(snapshotter.find('c1')!, (directory) => {
        expect(readFileSync(join(directory, 'low'), 'utf8')).toBe('mine');
        expect(names(directory)).toEqual(['low']);
      });
      await bench.mounted(await snapshotter.prepare('c3', chain('base')), (directory) =>
        expect(names(directory)).toEqual(['d', 'gone', 'low']),
      );
    });

    it('give views that cannot be written, also of one layer, and empty snapshots of none', async () => {
      const parent = await base();
      const view = await snapshotter.view('v', parent);
      expect(view.upperDir).toBeUndefined();
      await bench.mounted(view, (directory) => {
        expect(readFileSync(join(directory, 'low'), 'utf8')).toBe('low');
        expect(() => writeFileSync(join(directory, 'x'), '')).toThrow(/EROFS/);
      });
      await bench.mounted(await snapshotter.prepare('empty', undefined), (directory) => {
        expect(names(directory)).toEqual([]);
        writeFileSync(join(directory, 'x'), 'x');
      });
    });

    it('are the same for the same key, and refuse another parent or kind', async () => {
      const parent = await base();
      const [one, two] = await Promise.all([
        snapshotter.prepare('k', parent),
        snapshotter.prepare('k', parent),
      ]);
      expect(two).toEqual(one);
      expect(snapshotter.find('k')).toEqual(one);
      await expect(snapshotter.prepare('k', undefined)).rejects.toMatchObject({ kind: 'AlreadyExists' });
      await expect(snapshotter.view('k', parent)).rejects.toMatchObject({ kind: 'AlreadyExists' });
      await expect(snapshotter.prepare('l', chain('unknown'))).rejects.toMatchObject({ kind: 'NotFound' });
      expect(snapshotter.listKeys()).toEqual(['k']);
      expect(snapshotter.find('l')).toBeUndefined();
    });

    it('are removed with their files, any number of times; a layer not while something stands on it', async () => {
      const parent = await base();
      await top();
      const snapshot = await snapshotter.prepare('k', parent);
      writeFileSync(join(snapshot.upperDir!, 'f'), 'f');
      expect(snapshotter.layersInUse()).toEqual([parent]);
      expect(() => snapshotter.removeLayer(parent)).toThrow(
        expect.objectContaining({ kind: 'FailedPrecondition' }),
      );
      await snapshotter.remove('k');
      await snapshotter.remove('k');
      expect(() => snapshotter.removeLayer(parent)).toThrow(/stand on it/);
      snapshotter.removeLayer(chain('top'));
      snapshotter.removeLayer(parent);
      snapshotter.removeLayer(parent);
      await snapshotter.settled();
      expect([snapshotter.listKeys(), snapshotter.listLayers()]).toEqual([[], []]);
      expect(names(join(bench.root, 's/snapshots'))).toEqual([]);
      expect(names(join(bench.root, 's/trash'))).toEqual([]);
    });

    it('that are known to be large are gone from the disk when their removal has been answered', async () => {
      const snapshot = await snapshotter.prepare('k', await base());
      for (let index = 0; index < 100; index++)
        writeFileSync(join(snapshot.upperDir!, `f${index}`), Buffer.alloc(256 << 10));
      await snapshotter.usage('k');
      await snapshotter.remove('k');
      expect(names(join(bench.root, 's/trash'))).toEqual([]);
    });

    it('commit a layer once, and give up the second try', async () => {
      const chainId = await base();
      await base();
      expect(snapshotter.listLayers()).toHaveLength(1);
      expect(snapshotter.hasLayer(chainId)).toBe(true);
      expect(names(join(bench.root, 's/unpacking'))).toEqual([]);
      const orphan = commit(snapshotter, 'orphan', 'nothing', () => {});
      await expect(orphan).rejects.toMatchObject({ kind: 'NotFound' });
    });

    it('know what they occupy', async () => {
      const parent = await base();
      const before = await snapshotter.totalUsage();
      const snapshot = await snapshotter.prepare('k', parent);
      const empty = await snapshotter.usage('k');
      writeFileSync(join(snapshot.upperDir!, 'f'), Buffer.alloc(1 << 20));
      const full = await snapshotter.usage('k');
      expect(full.usedBytes - empty.usedBytes).toBe(1 << 20);
      expect(full.inodesUsed - empty.inodesUsed).toBe(1);
      const total = await snapshotter.totalUsage();
      expect(total.usedBytes - before.usedBytes).toBe(full.usedBytes);
      await expect(snapshotter.usage('unknown')).rejects.toMatchObject({ kind: 'NotFound' });
    });

    it('are all there after a restart, and leftovers are not', async () => {
      const parent = await base();
      await top();
      await snapshotter.prepare('k', parent);
      snapshotter.startLayer();
      mkdirSync(join(bench.root, 's/snapshots/77/fs'), { recursive: true });
      const again = make(bench.options());
      expect(again.recover()).toEqual([]);
      await again.settled();
      expect(again.find('k')).toEqual(snapshotter.find('k'));
      expect(again.listLayers()).toEqual(snapshotter.listLayers());
      expect([
        names(join(bench.root, 's/unpacking')),
        existsSync(join(bench.root, 's/snapshots/77')),
      ]).toEqual([[], false]);
    });

    it('do not trust layers that a power cut may have torn, nor what stands on them', async () => {
      const parent = await base();
      await snapshotter.markDurable(async () => {});
      const torn = await top();
      await snapshotter.prepare('lost', torn);
      await snapshotter.prepare('kept', parent);
      const again = make(bench.options({ bootId: 'boot-2' }));
      expect(again.recover()).toEqual([torn]);
      expect(again.listKeys()).toEqual(['kept']);
      expect(again.hasLayer(parent)).toBe(true);
      await again.settled();
    });

    it('drop only the layer whose directory is gone, with what stood on it', async () => {
      const parent = await base();
      await top();
      const other = await commit(snapshotter, 'other', undefined, () => {});
      rmSync(snapshotter.layerDirs(parent)[0]!, { recursive: true });
      const again = make(bench.options());
      expect(again.recover().sort()).toEqual([parent, chain('top')].sort());
      expect(again.listLayers().map(({ chainId }) => chainId)).toEqual([other]);
      await again.settled();
    });
  });
}
