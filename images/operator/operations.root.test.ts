/** What is on its way is not collected, what was given up leaves nothing, and whole trees are committed as overlays are. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { ImageId } from '../contract.ts';
import { ImageBench } from '../testing/image-bench.ts';
import { RealRegistry } from '../testing/real-registry.ts';
import { publish, testImage, testLayer } from '../testing/test-image.ts';

const never = new AbortController().signal;
const undo: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

function open(options: ConstructorParameters<typeof ImageBench>[0] = {}): ImageBench {
  const bench = new ImageBench(options);
  undo.push(() => bench.close());
  return bench;
}

async function startRegistry(): Promise<RealRegistry> {
  const registry = await RealRegistry.start();
  undo.push(() => registry.stop());
  return registry;
}

/** A way to the registry on which bodies wait at a gate. */
async function startGate(
  target: string,
): Promise<{ host: string; reached: Promise<void>; open: () => void }> {
  const gate = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  const server = createServer(async (incoming, outgoing) => {
    const isUpload = incoming.method === 'PUT' && incoming.url!.includes('/blobs/');
    if (isUpload) {
      reached.resolve();
      await gate.promise;
    }
    const [hostname, port] = target.split(':');
    const { method, url: path, headers } = incoming;
    const passed = httpRequest({ hostname, port, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(passed);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  undo.push(() => {
    gate.resolve();
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { host, reached: reached.promise, open: gate.resolve };
}

const readTree = (directory: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), 'utf8')] as const),
  );

const image = testImage([
  testLayer([{ name: 'one', content: '1' }]),
  testLayer([{ name: 'two', content: '2' }]),
]);

async function archiveOf(bench: ImageBench, name: string, format: 'oci' | 'docker' = 'oci'): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const send = async (piece: Buffer) => void chunks.push(Buffer.from(piece));
  await bench.images.operations.save([name], format, async () => {}, send, never);
  return Buffer.concat(chunks);
}

async function* pieces(
  archive: Buffer,
  between: () => Promise<void> = async () => {},
): AsyncGenerator<Buffer> {
  for (let at = 0; at < archive.length; at += 1000) {
    yield archive.subarray(at, at + 1000);
    await between();
  }
}

test('an image that is removed while it is pushed arrives whole, and is gone here after', async () => {
  const registry = await startRegistry();
  await publish(registry, 'from', image, ['1']);
  const gate = await startGate(registry.host);
  const bench = open();
  const reference = `${registry.host}/from:1`;
  await bench.images.pull({ reference, credentials: undefined }, never);
  const request = { image: reference, target: `${gate.host}/to:1`, credentials: undefined };
  const pushing = bench.images.operations.push(request, () => {}, never);
  await gate.reached;
  await bench.images.remove(reference);
  gate.open();
  expect(await pushing).toMatchObject({ digest: image.manifestDigest, layersRemade: 0 });
  await bench.images.settled();
  expect(bench.leftovers()).toEqual([]);
  const again = await bench.images.pull(
    { reference: `${registry.host}/to:1`, credentials: undefined },
    never,
  );
  expect(again.id).toBe(image.id);
});

test('an image that is loaded is not collected on its way; a load that is given up or dies leaves nothing', async () => {
  const registry = await startRegistry();
  await publish(registry, 'from', image, ['1']);
  const bench = open();
  const { operations } = bench.images;
  const reference = `${registry.host}/from:1`;
  await bench.images.pull({ reference, credentials: undefined }, never);
  const archive = await archiveOf(bench, reference);
  await bench.images.remove(reference);
  const collecting = () => bench.images.remove('nothing-of-this-name');
  const [loaded] = await operations.load(pieces(archive, collecting), 'own:1', never);
  expect(loaded).toEqual({ id: image.id, names: ['docker.io/library/own:1'] });
  // Its blobs are kept: what is saved is what came, without a registry.
  await registry.stop();
  expect((await archiveOf(bench, 'own:1')).length).toBeGreaterThan(1000);
  expect(operations.describe('own:1').layers.map(({ isBlobKept }) => isBlobKept)).toEqual([true, true]);
  await operations.remove('own:1', false, () => []);
  await bench.images.settled();
  expect(bench.leftovers()).toEqual([]);
  const cancel = new AbortController();
  const given = operations.load(
    pieces(archive, async () => cancel.abort()),
    '',
    cancel.signal,
  );
  await expect(given).rejects.toMatchObject({ kind: 'Canceled' });
  expect(bench.leftovers()).toEqual([]);
  writeFileSync(join(bench.root, 'store/staging/left'), 'by a daemon that died');
  await bench.reopen();
  expect(bench.leftovers()).toEqual([]);
});

test.each([false, true])(
  'a commit holds the changes, and its image goes in and out (plain copies: %s)',
  async (isNative) => {
    const registry = await startRegistry();
    await publish(registry, 'from', image, ['1']);
    const bench = open({ isNative });
    const { operations } = bench.images;
    const reference = `${registry.host}/from:1`;
    const base = await bench.images.pull({ reference, credentials: undefined }, never);
    const snapshot = await bench.snapshotter.prepare('c', base.chainId);
    bench.mounted(snapshot, (directory) => {
      writeFileSync(join(directory, 'new'), 'n');
      writeFileSync(join(directory, 'one'), 'changed');
      writeFileSync(join(directory, 'mounted'), '');
      rmSync(join(directory, 'two'));
    });
    const source = { snapshotKey: 'c', imageId: base.id, mountTargets: ['/mounted'] };
    const seen: string[] = [];
    await operations.listChanges(
      source,
      async (changes) => void seen.push(...changes.map(({ kind, path }) => `${kind} ${path}`)),
      never,
    );
    expect(seen.toSorted()).toEqual(['A /new', 'C /one', 'D /two']);
    const options = { reference: 'mine:1', author: 'me', message: 'why', changes: ['CMD ["x"]'] };
    const id = await operations.commit(source, options, never);
    const list = (chainId: typeof base.chainId, key: string) =>
      bench.snapshotter
        .prepare(key, chainId)
        .then((made) => bench.mounted(made, (directory) => readTree(directory)));
    expect(await list(bench.images.find('mine:1')!.chainId, 'look')).toEqual({ new: 'n', one: 'changed' });
    expect(bench.images.find('mine:1')).toMatchObject({ id, config: { command: ['x'] } });
    for (const format of ['oci', 'docker'] as const) {
      const archive = await archiveOf(bench, 'mine:1', format);
      const other = open({ isNative });
      const [loaded] = await other.images.operations.load(pieces(archive), '', never);
      expect(loaded).toEqual({ id, names: ['docker.io/library/mine:1'] });
    }
  },
);

test('what is shared and what goes with an image adds up', async () => {
  const registry = await startRegistry();
  await publish(registry, 'from', image, ['1']);
  const bench = open();
  const { operations } = bench.images;
  const reference = `${registry.host}/from:1`;
  const base = await bench.images.pull({ reference, credentials: undefined }, never);
  await bench.snapshotter.prepare('c', base.chainId);
  const source = { snapshotKey: 'c', imageId: base.id, mountTargets: [] };
  const options = { reference: '', author: '', message: '', changes: [] };
  const id = await operations.commit(source, options, never);
  const usage = await operations.usage();
  const own = usage.images.reduce((sum, { uniqueBytes }) => sum + uniqueBytes, 0);
  const shared = usage.images.find(({ image: { id: of } }) => of === base.id)!.sharedBytes;
  expect(shared).toBeGreaterThan(0);
  expect(own + shared).toBe(usage.layerBytes + usage.blobBytes);
  const request = { isDryRun: true, isAll: false, createdBeforeMs: undefined };
  const users = (used: ImageId) => (of: ImageId) => (of === used ? ['container'] : []);
  expect((await operations.prune(request, users(id))).images).toEqual([]);
  const dry = await operations.prune(request, () => []);
  expect(dry.images).toEqual([{ id, names: [] }]);
  expect(dry.freedBytes).toBe(usage.images.find(({ image: { id: of } }) => of === id)!.uniqueBytes);
  expect(await operations.prune({ ...request, isDryRun: false }, () => [])).toEqual(dry);
  expect(bench.images.list().map(({ id: left }) => left)).toEqual([base.id]);
});

test.each([false, true])(
  'layers that nobody has the blobs of are packed anew (plain copies: %s)',
  async (isNative) => {
    const registry = await startRegistry();
    // Names that we would spell otherwise: packed anew, these layers are others.
    const odd = testImage(['one', 'two'].map((name) => testLayer([{ name: `./${name}`, content: name }])));
    await publish(registry, 'from', odd, ['1']);
    const bench = open({ isNative });
    const reference = `${registry.host}/from:1`;
    const { id } = await bench.images.pull({ reference, credentials: undefined }, never);
    await registry.stop();
    const archive = await archiveOf(bench, reference);
    expect(await archiveOf(bench, reference)).toEqual(archive);
    const other = open({ isNative });
    const [loaded] = await other.images.operations.load(pieces(archive), '', never);
    expect(loaded!.id).not.toBe(id);
    const made = await other.snapshotter.prepare('look', other.images.find(loaded!.id)!.chainId);
    expect(other.mounted(made, readTree)).toEqual({ one: 'one', two: 'two' });
  },
);
