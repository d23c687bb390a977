import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { performMount, unmountAll } from '#host/mount.ts';
import { findOverlayObstacle, needsLongMount, OverlaySnapshotter } from './overlay.ts';
import { chain, commit, SnapshotterBench, snapshotterSuite } from './testing/suite.ts';

snapshotterSuite('overlay', (options) => new OverlaySnapshotter(options));

describe('overlay snapshots of many layers', () => {
  let bench: SnapshotterBench | undefined;
  afterEach(() => bench?.close());

  it('mount though their options do not fit a page', async () => {
    bench = new SnapshotterBench();
    const snapshotter = new OverlaySnapshotter(bench.options());
    for (let index = 0; index < 200; index += 1)
      await commit(snapshotter, `l${index}`, index === 0 ? undefined : `l${index - 1}`, (directory) =>
        writeFileSync(join(directory, `f${index}`), ''),
      );
    const snapshot = await snapshotter.prepare('k', chain('l199'));
    expect(needsLongMount(snapshot)).toBe(true);
    await bench.mounted(snapshot, (directory) => {
      for (const index of [0, 100, 199]) writeFileSync(join(directory, `f${index}`), 'x', { flag: 'r+' });
    });
  });

  it('are said to be impossible where they are', async () => {
    bench = new SnapshotterBench();
    expect(await findOverlayObstacle(join(bench.root, 'probe'))).toBeUndefined();
    const [lower, upper, work, merged] = ['l', 'u', 'w', 'm'].map((name) => join(bench!.root, name));
    for (const directory of [lower!, upper!, work!, merged!]) mkdirSync(directory);
    const data = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
    performMount({ type: 'overlay', source: 'o', flags: 0, data }, merged!);
    try {
      expect(await findOverlayObstacle(join(merged!, 'root'))).toMatch(
        /does not work on .*\/m\/root: mount overlay/,
      );
    } finally {
      unmountAll(merged!);
    }
  });
});
