/** Named volumes that are filled, and at a start, where something is mounted in one that was being removed. Root, for owners and the mount. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { observeSteps } from '#base/step.ts';
import { bindMount, unmountAll } from '#host/mount.ts';
import { NamedVolumes } from './named-volumes.ts';

test('a volume that cannot be removed does not keep the daemon from starting', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'named-volumes-'));
  const busy = join(folder, '.removing-1/data');
  try {
    for (const path of [busy, join(folder, '.making-2'), join(folder, 'kept')])
      mkdirSync(path, { recursive: true });
    bindMount(busy, busy);
    const options = { folder, containers: { list: () => [] }, measureFolder: async () => 0 };
    await new NamedVolumes(options).recover();
    expect(existsSync(join(folder, 'kept/data'))).toBe(true);
    expect(existsSync(join(folder, '.making-2'))).toBe(false);
    unmountAll(busy);
    await new NamedVolumes(options).recover();
    expect(existsSync(join(folder, '.removing-1'))).toBe(false);
  } finally {
    unmountAll(busy);
    rmSync(folder, { recursive: true });
  }
});

test('a volume whose filling broke off has nothing of it, and is filled by the next container', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'named-volumes-'));
  const rootfs = mkdtempSync(join(tmpdir(), 'named-volumes-root-'));
  try {
    mkdirSync(join(rootfs, 'seed'));
    writeFileSync(join(rootfs, 'seed/file'), 'content');
    const from = { rootfs, path: '/seed', owner: { uid: 0, gid: 0 } };
    const { signal } = new AbortController();
    const options = { folder, containers: { list: () => [] }, measureFolder: async () => 0 };
    const volumes = new NamedVolumes(options);
    const { path } = await volumes.ensure('data', {});
    observeSteps({
      before: (name) => {
        if (name === 'fill-volume/place') throw new Error('told to fail');
      },
      after: () => {},
    });
    await expect(volumes.prepare(path, from, signal)).rejects.toThrow('told to fail');
    observeSteps(undefined);
    expect(readdirSync(join(folder, 'data')).toSorted()).toEqual(['data', 'volume.json']);
    expect(readdirSync(path)).toEqual([]);
    // A daemon died at it.
    mkdirSync(join(folder, 'data/filling'));
    await new NamedVolumes(options).recover();
    expect(readdirSync(join(folder, 'data')).toSorted()).toEqual(['data', 'volume.json']);
    await volumes.prepare(path, from, signal);
    expect(readdirSync(path)).toEqual(['file']);
  } finally {
    observeSteps(undefined);
    rmSync(folder, { recursive: true });
    rmSync(rootfs, { recursive: true });
  }
});
