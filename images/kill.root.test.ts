import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, vi } from 'vitest';
import { ImageBench } from './testing/image-bench.ts';
import { ScriptedRegistry } from './testing/scripted-registry.ts';
import { publish, testImage, testLayer } from './testing/test-image.ts';

const script = fileURLToPath(new URL('./testing/pull-once.ts', import.meta.url));

const childrenOf = (pid: number) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((child) => child !== '');

it('loses and leaks nothing when the daemon is killed at any moment of pulls and removals', async () => {
  const registry = await ScriptedRegistry.start();
  const layers = Array.from({ length: 6 }, (_, layer) =>
    testLayer(
      Array.from({ length: 60 }, (_, file) => ({
        name: `l${layer}/f${file}`,
        content: `${file}`.repeat(400),
      })),
    ),
  );
  await publish(registry, 'a', testImage(layers), ['v1']);
  await publish(registry, 'b', testImage(layers.slice(0, 4)), ['v1']);
  const references = ['a', 'b', 'a', 'b'].map((name) => `${registry.host}/${name}:v1`);
  const root = mkdtempSync(join(tmpdir(), 'killed-'));
  try {
    for (let round = 0; round < 6; round += 1) {
      const child = spawn(process.execPath, [script, root, ...references], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const exited = new Promise((resolve) => child.once('exit', resolve));
      await new Promise((resolve) => child.stdout.once('data', resolve));
      await new Promise((resolve) => setTimeout(resolve, round * 75));
      const layerProcesses = child.exitCode === null ? childrenOf(child.pid!) : [];
      child.kill('SIGKILL');
      await exited;

      const bench = new ImageBench({}, root);
      await bench.images.settled();
      for (const image of bench.images.list()) expect(bench.snapshotter.hasLayer(image.chainId!)).toBe(true);
      const directories = readdirSync(join(root, 'store/snapshots'));
      expect(directories).toHaveLength(bench.snapshotter.listLayers().length);
      expect(bench.leftovers().filter((name) => /unpacking|trash/.test(name))).toEqual([]);
      const usage = await bench.images.usage();
      expect(Math.abs(bench.diskBytes() - usage.usedBytes)).toBeLessThan(100_000);
      await bench.images.pull(
        { reference: references[0]!, credentials: undefined },
        new AbortController().signal,
      );
      // The other one too, if the kill came when it was there.
      for (const reference of new Set(references)) await bench.images.remove(reference);
      await bench.images.settled();
      await vi.waitFor(() =>
        expect(bench.leftovers().filter((name) => !name.includes('ingest'))).toEqual([]),
      );
      await bench.images.close();
      // One that was still starting finds its parent gone and ends by itself.
      await vi.waitFor(
        () => expect(layerProcesses.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]),
        10_000,
      );
    }
  } finally {
    await registry.stop();
    rmSync(root, { recursive: true, force: true });
  }
}, 60_000);
