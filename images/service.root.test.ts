import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { RuntimeError } from '#base/errors.ts';
import type { PullCredentials } from './contract.ts';
import { digestOf } from './digest.ts';
import { mediaTypes } from './manifest.ts';
import { ImageBench } from './testing/image-bench.ts';
import { RealRegistry } from './testing/real-registry.ts';
import { ScriptedRegistry, serveBlob } from './testing/scripted-registry.ts';
import { publish, type TestLayer, testImage, testIndex, testLayer } from './testing/test-image.ts';

const never = new AbortController().signal;
/** A busy machine is slow to start processes. */
const waitFor = (check: () => unknown, timeoutMs = 10_000) => vi.waitFor(check, timeoutMs);
const benches: ImageBench[] = [];
function open(...options: ConstructorParameters<typeof ImageBench>): ImageBench {
  const bench = new ImageBench(...options);
  benches.push(bench);
  return bench;
}
afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.close();
});

const pull = (bench: ImageBench, reference: string, signal = never, credentials?: PullCredentials) =>
  bench.images.pull({ reference, credentials }, signal);

/** Content that does not compress, so that a layer is as big as it says. */
function noise(bytes: number, seed = 1): Buffer {
  const content = Buffer.alloc(bytes);
  let state = seed;
  for (let at = 0; at < bytes; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    content.writeUInt32LE(state, at - (at % 4) > bytes - 4 ? bytes - 4 : at);
  }
  return content;
}

describe('with a real registry', () => {
  let registry: RealRegistry;
  let bench: ImageBench;
  beforeAll(async () => {
    registry = await RealRegistry.start();
  });
  afterAll(() => registry.stop());
  beforeEach(() => {
    bench = open();
  });

  const layers = [
    testLayer([
      { name: './', mode: 0o751 },
      { name: 'etc/', mode: 0o700 },
      { name: 'etc/conf', content: 'one' },
      { name: 'old' },
    ]),
    testLayer([{ name: '.wh.old' }, { name: 'etc/conf', content: 'two' }], 'zstd'),
    testLayer([], 'none'),
    testLayer([]),
    testLayer([{ name: 'app', content: 'app' }], 'none'),
  ];

  it('pulls an image of gzip, zstd, plain and empty layers, which a container can then run on', async () => {
    const image = testImage(layers);
    await publish(registry, 'app', image, ['v1']);
    const pulled = await pull(bench, `${registry.host}/app:v1`);
    const size =
      image.config.length + image.manifest.length + layers.reduce((sum, { blob }) => sum + blob.length, 0);
    expect(pulled).toMatchObject({
      id: image.id,
      repoTags: [`${registry.host}/app:v1`],
      repoDigests: [`${registry.host}/app@${image.manifestDigest}`],
      sizeBytes: size,
      config: { user: '1003:g', command: ['sh'], workingDir: '/w', env: ['PATH=/bin'] },
    });
    expect(JSON.parse(pulled.rawConfig)).toEqual(JSON.parse(image.config.toString()));
    const snapshot = await bench.snapshotter.prepare('c', pulled.chainId);
    bench.mounted(snapshot, (directory) => {
      expect(readdirSync(directory).sort()).toEqual(['app', 'etc']);
      expect(readFileSync(join(directory, 'etc/conf'), 'utf8')).toBe('two');
    });
    expect(bench.leftovers().filter((name) => /unpacking|ingest|trash/.test(name))).toEqual([]);
  });

  it('answers alike by ID, prefix, tag and digest, follows a moved tag, and removes by any of them', async () => {
    const [one, two] = [testImage(layers.slice(0, 1)), testImage(layers.slice(0, 2))];
    await publish(registry, 'moving', one, ['latest', 'stable']);
    const name = `${registry.host}/moving`;
    const first = await pull(bench, name);
    await pull(bench, `${name}:stable`);
    const same = bench.images.find(one.id);
    for (const reference of [
      name,
      `${name}:stable`,
      `${name}@${one.manifestDigest}`,
      one.id.slice(7),
      one.id.slice(7, 20),
      `sha256:${one.id.slice(7, 20)}`,
    ])
      expect(bench.images.find(reference)).toEqual(same);
    expect(first.id).toBe(one.id);
    await publish(registry, 'moving', two, ['latest']);
    await pull(bench, name);
    expect(bench.images.find(name)!.id).toBe(two.id);
    expect(bench.images.find(one.id)!.repoTags).toEqual([`${name}:stable`]);
    await pull(bench, `${name}@${one.manifestDigest}`);
    expect(bench.images.list()).toHaveLength(2);
    await bench.images.remove(`${name}:stable`);
    expect(bench.images.find(one.id)).toBeUndefined();
    expect(bench.images.find(`${name}@${one.manifestDigest}`)).toBeUndefined();
    await Promise.all([1, 2, 3, 4, 5].map(() => bench.images.remove(two.id)));
    expect(bench.images.list()).toEqual([]);
    await bench.images.settled();
    expect(bench.leftovers()).toEqual([]);
    expect(() => bench.images.find('UPPER')).toThrow(expect.objectContaining({ kind: 'InvalidArgument' }));
    await expect(pull(bench, 'a b')).rejects.toMatchObject({ kind: 'InvalidArgument' });
  });

  it('gives a digest reference no tag', async () => {
    const image = testImage(layers.slice(0, 1));
    await publish(registry, 'bydigest', image, []);
    const pulled = await pull(bench, `${registry.host}/bydigest:ignored@${image.manifestDigest}`);
    expect([pulled.repoTags, pulled.repoDigests]).toEqual([
      [],
      [`${registry.host}/bydigest@${image.manifestDigest}`],
    ]);
  });

  it('chooses the platform from an index, also by the config of an entry that names none', async () => {
    const [other, mine] = [
      testImage(layers.slice(0, 1), { config: { os: 'linux', architecture: 's390x' } }),
      testImage(layers.slice(0, 2), { isDocker: true }),
    ];
    for (const image of [other, mine]) await publish(registry, 'multi', image, []);
    const index = testIndex([
      { image: other, platform: { os: 'unknown', architecture: 'unknown' } },
      { image: other },
      { image: mine },
    ]);
    await registry.putManifest('multi', 'v1', index.body, mediaTypes.ociIndex);
    const pulled = await pull(bench, `${registry.host}/multi:v1`);
    expect(pulled.id).toBe(mine.id);
    expect(pulled.repoDigests).toEqual([`${registry.host}/multi@${index.digest}`]);
    await publish(registry, 'foreign', other, ['v1']);
    await expect(pull(bench, `${registry.host}/foreign:v1`)).rejects.toThrow(/no image for platform linux\//);
  });

  it('keeps the layers of a removed image while a container is on them', async () => {
    const image = testImage(layers.slice(0, 2));
    await publish(registry, 'used', image, ['v1']);
    const pulled = await pull(bench, `${registry.host}/used:v1`);
    const snapshot = await bench.snapshotter.prepare('c', pulled.chainId);
    await bench.images.remove(pulled.id);
    bench.mounted(snapshot, (directory) => expect(readdirSync(directory)).toEqual(['etc']));
    await bench.reopen();
    bench.mounted(bench.snapshotter.find('c')!, (directory) =>
      expect(readdirSync(directory)).toEqual(['etc']),
    );
    await bench.snapshotter.remove('c');
    await bench.images.settled();
    expect(bench.leftovers()).toEqual([]);
  });

  it('counts every byte that it owns', async () => {
    const image = testImage([testLayer([{ name: 'big', content: noise(3 << 20) }]), ...layers.slice(1, 2)]);
    await publish(registry, 'counted', image, ['v1']);
    const pulled = await pull(bench, `${registry.host}/counted:v1`);
    const snapshot = await bench.snapshotter.prepare('c', pulled.chainId);
    writeFileSync(join(snapshot.upperDir!, 'written'), Buffer.alloc(1 << 20));
    await bench.snapshotter.usage('c');
    const usage = await bench.images.usage();
    expect(existsSync(usage.mountPoint)).toBe(true);
    expect(Math.abs(bench.diskBytes() - usage.usedBytes)).toBeLessThan(100_000);
    await bench.snapshotter.remove('c');
    await bench.images.remove(pulled.id);
    expect((await bench.images.usage()).usedBytes).toBe(0);
  });

  it('has all images after a restart, and pins those it is told to', async () => {
    const image = testImage(layers);
    await publish(registry, 'kept', image, ['v1']);
    const before = await pull(bench, `${registry.host}/kept:v1`);
    await bench.images.settled();
    await bench.reopen({ bootId: 'boot-2', pinned: [`${registry.host}/kept:*`] });
    expect(bench.images.list()).toEqual([{ ...before, isPinned: true }]);
  });

  it('drops an image of which something did not survive, and pulls it again', async () => {
    const image = testImage(layers);
    await publish(registry, 'torn', image, ['v1']);
    const { chainId } = await pull(bench, `${registry.host}/torn:v1`);
    await bench.images.settled();
    rmSync(bench.snapshotter.layerDirs(chainId!)[0]!, { recursive: true });
    await bench.reopen();
    expect(bench.images.list()).toEqual([]);
    await pull(bench, `${registry.host}/torn:v1`);
    truncateSync(join(bench.root, 'store/content/blobs/sha256', image.id.slice(7)), 5);
    await bench.reopen();
    expect(bench.images.list()).toEqual([]);
    expect((await pull(bench, `${registry.host}/torn:v1`)).id).toBe(image.id);
  });

  it('keeps compressed layers where told to, and unpacks from them again', async () => {
    await bench.reopen({ keepLayerBlobs: true });
    const image = testImage(layers);
    await publish(registry, 'blobs', image, ['v1']);
    const { chainId } = await pull(bench, `${registry.host}/blobs:v1`);
    for (const { blob } of layers)
      expect(
        readFileSync(join(bench.root, 'store/content/blobs/sha256', digestOf(blob).slice(7))).equals(blob),
      ).toBe(true);
    rmSync(bench.snapshotter.layerDirs(chainId!)[0]!, { recursive: true });
    await bench.reopen({ keepLayerBlobs: true });
    await pull(bench, `${registry.host}/blobs:v1`);
    await bench.images.remove(image.id);
    await bench.images.settled();
    await waitFor(() => expect(bench.leftovers()).toEqual([]));
  });
});

describe('with a registry that fails', () => {
  let registry: ScriptedRegistry;
  beforeEach(async () => {
    registry = await ScriptedRegistry.start();
  });
  afterEach(() => registry.stop());

  const big = testLayer([{ name: 'big', content: noise(2 << 20) }]);
  const small = testLayer([{ name: 'small', content: 'small' }]);
  const blobUrl = (layer: TestLayer) => `/blobs/${digestOf(layer.blob)}`;

  it('goes on in the middle of a layer when the connection is reset', async () => {
    const image = testImage([small, big]);
    await publish(registry, 'app', image, ['v1']);
    let resets = 3;
    registry.intercept = (request, response) => {
      if (!request.url!.includes(blobUrl(big)) || resets-- <= 0) return false;
      const start = Number(/(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
      response.writeHead(start ? 206 : 200, {
        'Content-Length': big.blob.length - start,
        ...(start && { 'Content-Range': `bytes ${start}-${big.blob.length - 1}/${big.blob.length}` }),
      });
      response.write(big.blob.subarray(start, start + 500_000), () => request.socket.destroy());
      return true;
    };
    const bench = open();
    const { chainId } = await pull(bench, `${registry.host}/app:v1`);
    expect(registry.requests(blobUrl(big))).toHaveLength(4);
    bench.mounted(await bench.snapshotter.view('v', chainId!), (directory) =>
      expect(readFileSync(join(directory, 'big')).equals(noise(2 << 20))).toBe(true),
    );
  });

  it('fetches and unpacks layers beside each other, no layer waiting for the one below, and says how far each is', async () => {
    const upper = [1, 2].map((seed) =>
      testLayer([{ name: `big-${seed}`, content: noise(2 << 20, seed + 10) }], 'gzip'),
    );
    await publish(registry, 'app', testImage([small, ...upper]), ['v1']);
    const held = Promise.withResolvers<void>();
    registry.intercept = (request, response) => {
      if (!request.url!.includes(blobUrl(small))) return false;
      held.promise.then(() => response.end(small.blob));
      response.writeHead(200, { 'Content-Length': small.blob.length });
      return true;
    };
    const bench = open();
    const pulling = pull(bench, `${registry.host}/app:v1`);
    pulling.catch(() => {});
    await waitFor(
      () =>
        expect(
          bench.images.progress()[0]?.layers.map(({ receivedBytes, sizeBytes }) => receivedBytes / sizeBytes),
        ).toEqual([0, 1, 1]),
      10_000,
    );
    held.resolve();
    const { chainId } = await pulling;
    expect(bench.images.progress()).toEqual([]);
    bench.mounted(await bench.snapshotter.view('v', chainId!), (directory) =>
      expect(readdirSync(directory).sort()).toEqual(['big-1', 'big-2', 'small']),
    );
  });

  it('goes on after a restart where the last pull was killed', async () => {
    await publish(registry, 'app', testImage([small, big]), ['v1']);
    const bench = open();
    let sent: () => void;
    const half = new Promise<void>((resolve) => {
      sent = resolve;
    });
    registry.intercept = (request, response) => {
      if (!request.url!.includes(blobUrl(big))) return false;
      response.writeHead(200, { 'Content-Length': big.blob.length });
      response.write(big.blob.subarray(0, 1_000_000), () => sent());
      return true;
    };
    const killed = pull(bench, `${registry.host}/app:v1`);
    killed.catch(() => {});
    await half;
    const ingest = join(bench.root, 'store/content/ingest', digestOf(big.blob).replace(':', '-'));
    await waitFor(() => expect(readFileSync(ingest).length).toBe(1_000_000));
    await bench.reopen();
    await expect(killed).rejects.toMatchObject({ kind: 'Unknown' });
    registry.intercept = () => false;
    await pull(bench, `${registry.host}/app:v1`);
    expect(registry.requests(blobUrl(big)).at(-1)!.headers.range).toBe('bytes=1000000-');
    await bench.images.settled();
    expect(bench.leftovers().filter((name) => /unpacking|ingest|trash/.test(name))).toEqual([]);
  });

  it('shows nothing of an image whose layer, diff ID, config or manifest is not what its digest says', async () => {
    const bench = open();
    const swap = (part: string, body: Buffer) => {
      registry.intercept = (request, response) => {
        if (!request.url!.includes(part) || request.method === 'HEAD') return false;
        response.end(body);
        return true;
      };
    };
    const image = testImage([small]);
    await publish(registry, 'app', image, ['v1']);
    const evil = Buffer.from(small.blob);
    evil[evil.length - 1]! ^= 1;
    swap(blobUrl(small), evil);
    await expect(pull(bench, `${registry.host}/app:v1`)).rejects.toThrow(
      /what was received has digest sha256:/,
    );
    swap(`/blobs/${image.id}`, Buffer.from(JSON.stringify({ os: 'linux' }).padEnd(image.config.length)));
    await expect(pull(open(), `${registry.host}/app:v1`)).rejects.toThrow(/sent content with digest/);
    swap('/manifests/', Buffer.from('{"schemaVersion":2,"config":{}}'));
    await expect(pull(open(), `${registry.host}/app:v1`)).rejects.toThrow(/sent content with digest/);
    registry.intercept = () => false;
    const wrong = testImage([small], { diffIds: [digestOf('x')] });
    await publish(registry, 'wrong', wrong, ['v1']);
    await expect(pull(bench, `${registry.host}/wrong:v1`)).rejects.toThrow(
      /unpacks to digest .* where the image config says/,
    );
    await publish(registry, 'count', testImage([small], { diffIds: [] }), ['v1']);
    await expect(pull(bench, `${registry.host}/count:v1`)).rejects.toThrow(/1 layers, its config 0/);
    expect(bench.images.list()).toEqual([]);
    expect(bench.snapshotter.listLayers()).toEqual([]);
  });

  it('takes a layer from the registry itself when a mirror serves it wrong', async () => {
    const mirror = await ScriptedRegistry.start();
    const image = testImage([small]);
    for (const target of [registry, mirror]) await publish(target, 'app', image, ['v1']);
    mirror.blobs.set(digestOf(small.blob), Buffer.from(small.blob).fill(7, 30));
    const bench = open();
    const roots = join(bench.root, 'certs.d');
    mkdirSync(join(roots, 'r.example'), { recursive: true });
    writeFileSync(
      join(roots, 'r.example/hosts.toml'),
      `server = "http://${registry.host}"\n[host."http://${mirror.host}"]\n`,
    );
    await bench.reopen({ hostRoots: [roots] });
    expect((await pull(bench, 'r.example/app:v1')).repoTags).toEqual(['r.example/app:v1']);
    expect(mirror.requests('/blobs/').every(({ url }) => url.endsWith('?ns=r.example'))).toBe(true);
    expect(registry.requests(blobUrl(small))).toHaveLength(1);
    await mirror.stop();
  });

  it('refuses a hostile layer with a clear error and leaves nothing', async () => {
    const hostile = testLayer([{ name: '../../escape', content: 'x' }]);
    await publish(registry, 'evil', testImage([small, hostile]), ['v1']);
    const bench = open({ retryGraceMs: 0 });
    const pulling = pull(bench, `${registry.host}/evil:v1`);
    await expect(pulling).rejects.toMatchObject({
      kind: 'Unknown',
      message: expect.stringMatching(/"..\/..\/escape" leads out of the layer/),
    });
    await waitFor(() => expect(bench.leftovers()).toEqual([]));
  });

  it('fetches once for many callers, of one image and of images that share layers, and lets each leave', async () => {
    await publish(registry, 'app', testImage([small, big]), ['v1']);
    await publish(registry, 'other', testImage([small, big], { config: { author: 'b' } }), ['v1']);
    const gate = Promise.withResolvers<void>();
    registry.intercept = (request, response) => {
      if (!request.url!.includes(blobUrl(big))) return false;
      void gate.promise.then(() => serveBlob(request, response, big.blob));
      return true;
    };
    const bench = open();
    const leaving = new AbortController();
    const timeout = new AbortController();
    const pulls = [
      pull(bench, `${registry.host}/app:v1`, leaving.signal),
      pull(bench, `${registry.host}/app:v1`),
      pull(bench, `${registry.host}/app:v1`, timeout.signal),
      pull(bench, `${registry.host}/other:v1`),
    ];
    await waitFor(() => expect(registry.requests(blobUrl(big))).toHaveLength(1));
    leaving.abort();
    timeout.abort(new RuntimeError('DeadlineExceeded', 'too late'));
    await expect(pulls[0]).rejects.toMatchObject({ kind: 'Canceled' });
    await expect(pulls[2]).rejects.toMatchObject({ kind: 'DeadlineExceeded' });
    gate.resolve();
    const [one, two] = await Promise.all([pulls[1]!, pulls[3]!]);
    expect(one.chainId).toBe(two.chainId);
    expect(registry.requests(blobUrl(big))).toHaveLength(1);
    expect(registry.requests(blobUrl(small))).toHaveLength(1);
  });

  it('stops the work when the last caller leaves, and the next one starts anew', async () => {
    await publish(registry, 'app', testImage([big]), ['v1']);
    registry.intercept = (request) => request.url!.includes(blobUrl(big));
    const bench = open();
    const leaving = new AbortController();
    const left = pull(bench, `${registry.host}/app:v1`, leaving.signal);
    await waitFor(() => expect(registry.requests(blobUrl(big))).toHaveLength(1));
    leaving.abort();
    await expect(left).rejects.toMatchObject({ kind: 'Canceled' });
    registry.intercept = () => false;
    await pull(bench, `${registry.host}/app:v1`);
    await waitFor(() => expect(bench.leftovers().filter((name) => /unpacking|trash/.test(name))).toEqual([]));
  });

  it('does not fail one pull for the credentials of another', async () => {
    const auth = (user: string) => `Basic ${Buffer.from(`${user}:p`).toString('base64')}`;
    await publish(registry, 'app', testImage([small, big]), ['v1']);
    const gate = Promise.withResolvers<void>();
    registry.intercept = (request, response) => {
      const { authorization } = request.headers;
      if (!authorization) response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' }).end();
      else if (request.url!.includes(blobUrl(big)) && authorization === auth('bad'))
        void gate.promise.then(() => response.writeHead(403).end());
      else return false;
      return true;
    };
    const credentials = (username: string) => ({
      username,
      password: 'p',
      auth: '',
      serverAddress: '',
      identityToken: '',
      registryToken: '',
    });
    const bench = open();
    const bad = pull(bench, `${registry.host}/app:v1`, never, credentials('bad'));
    bad.catch(() => {});
    await waitFor(() => expect(registry.requests(blobUrl(big))).not.toHaveLength(0));
    const good = pull(bench, `${registry.host}/app:v1`, never, credentials('good'));
    await waitFor(() =>
      expect(registry.seen.some(({ headers }) => headers.authorization === auth('good'))).toBe(true),
    );
    gate.resolve();
    await expect(bad).rejects.toThrow(/access denied/);
    expect((await good).repoTags).toHaveLength(1);
  });

  it('lets its process go when no pull is running, and says how it went if it dies', async () => {
    await publish(registry, 'app', testImage([big]), ['v1']);
    const bench = open();
    await pull(bench, `${registry.host}/app:v1`);
    expect(bench.processes.count).toBe(1);
    await waitFor(() => expect(bench.processes.count).toBe(0), 5000);
    registry.intercept = (request) => request.url!.includes(blobUrl(big));
    await bench.images.remove(`${registry.host}/app:v1`);
    const dying = pull(bench, `${registry.host}/app:v1`);
    dying.catch(() => {});
    await waitFor(() => expect(registry.requests(blobUrl(big))).toHaveLength(2));
    expect(bench.images.progress()).toMatchObject([{ layers: [{ sizeBytes: big.blob.length }] }]);
    await bench.processes.close();
    await expect(dying).rejects.toMatchObject({
      kind: 'Unknown',
      message: expect.stringMatching(/process that unpacks layers ended by signal 9/),
    });
    registry.intercept = () => false;
    await pull(bench, `${registry.host}/app:v1`);
  });
});
