/** Named volumes at a start, where something is mounted in one that was being removed. Root, for the mount. */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
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
