/** What operators configure about registries, with the distribution project's own registry and real pulls. */
import { generateKeyPairSync } from 'node:crypto';
import {
  chmodSync,
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
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { mediaTypes } from './manifest.ts';
import { ImageBench } from './testing/image-bench.ts';
import { RealRegistry } from './testing/real-registry.ts';
import { ScriptedRegistry } from './testing/scripted-registry.ts';
import { putSignatures } from './testing/sign-image.ts';
import { publishArtifact } from './testing/test-artifact.ts';
import { publish, testImage, testIndex, testLayer } from './testing/test-image.ts';

const never = new AbortController().signal;
/** `user:s3cret:x`, as htpasswd -B writes it. */
const login = {
  userPassword: 'user:s3cret:x',
  htpasswd: 'user:$2b$04$FvfwQ5bs2YfxOFRydqz29uJELDJ4wAqcRa7juTJnZ.VidX//1tZzO',
};
const undo: (() => Promise<void> | void)[] = [];
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'operator-'));
  undo.push(() => rmSync(root, { recursive: true }));
});
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

function open(options: ConstructorParameters<typeof ImageBench>[0] = {}): ImageBench {
  const bench = new ImageBench(options);
  undo.push(() => bench.close());
  return bench;
}
async function startRegistry(auth?: typeof login): Promise<RealRegistry> {
  const registry = await RealRegistry.start(auth);
  undo.push(() => registry.stop());
  return registry;
}
function write(name: string, content: string | object): string {
  const path = join(root, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}
const pull = (bench: ImageBench, reference: string) =>
  bench.images.pull({ reference, credentials: undefined }, never);
const image = testImage([
  testLayer([{ name: 'one', content: '1' }]),
  testLayer([{ name: 'two', content: '2' }], 'zstd'),
]);

describe('registries.conf', () => {
  it('sends pulls to mirrors under other names, the next time it is written too, and finds short names again', async () => {
    const registry = await startRegistry();
    await publish(registry, 'cache/app', image, ['v1']);
    const registriesConf = write(
      'registries.conf',
      `[[registry]]
location = "r.example"
[[registry.mirror]]
location = "127.0.0.1:1"
[[registry.mirror]]
location = "${registry.host}/cache"
insecure = true
`,
    );
    const bench = open({ registriesConf });
    const pulled = await pull(bench, 'r.example/app:v1');
    expect(pulled.repoTags).toEqual(['r.example/app:v1']);
    bench.mounted(await bench.snapshotter.prepare('c', pulled.chainId), (directory) =>
      expect(readdirSync(directory).sort()).toEqual(['one', 'two']),
    );
    mkdirSync(`${registriesConf}.d`);
    writeFileSync(
      join(`${registriesConf}.d`, '50-names.conf'),
      `unqualified-search-registries = ["127.0.0.1:1", "${registry.host}/cache"]
[aliases]
short = "r.example/app"
[[registry]]
location = "bad.example"
blocked = true
`,
    );
    expect(bench.images.find('short:v1')!.id).toBe(pulled.id);
    expect((await pull(bench, 'app:v1')).repoTags).toEqual([
      `${registry.host}/cache/app:v1`,
      'r.example/app:v1',
    ]);
    expect(bench.images.find('app:v1')!.id).toBe(pulled.id);
    await expect(pull(bench, 'bad.example/app')).rejects.toMatchObject({
      kind: 'Unknown',
      message: expect.stringMatching(/^pulling bad.example\/app: bad.example is blocked in .*50-names.conf$/),
    });
  });
});

describe('credentials', () => {
  it('come from a helper, for a registry that lets nobody else in, at every pull', async () => {
    const registry = await startRegistry(login);
    await publish(registry, 'app', image, ['v1']);
    const helper = write('docker-credential-test', '#!/bin/sh\nexit 1\n');
    const authFile = write('auth.json', {});
    const bench = open({ authFiles: [authFile], helperDirs: [root] });
    await expect(pull(bench, `${registry.host}/app:v1`)).rejects.toThrow(/authorization failed/);
    write('auth.json', { credHelpers: { [registry.host]: 'test' } });
    await expect(pull(bench, `${registry.host}/app:v1`)).rejects.toThrow(/it is not in /);
    chmodSync(helper, 0o755);
    await expect(pull(bench, `${registry.host}/app:v1`)).rejects.toThrow(/exit status 1; run it by hand/);
    write(
      'docker-credential-test',
      `#!/bin/sh\n[ "$1" = get ] && [ "$(cat)" = "${registry.host}" ] && echo '{"ServerURL":"x","Username":"user","Secret":"s3cret:x"}'\n`,
    );
    expect((await pull(bench, `${registry.host}/app:v1`)).id).toBe(image.id);
  });

  it('are in no log, no argument and no environment', async () => {
    const registry = await ScriptedRegistry.start();
    undo.push(() => registry.stop());
    await publish(registry, 'app', image, ['v1']);
    const basic = Buffer.from(login.userPassword).toString('base64');
    const looks: string[] = [];
    registry.intercept = (request, response) => {
      if (request.headers.authorization !== `Basic ${basic}`) {
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' }).end();
        return true;
      }
      for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
        try {
          const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
          if (Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]) !== process.pid) continue;
          looks.push(
            readFileSync(`/proc/${pid}/environ`, 'utf8') + readFileSync(`/proc/${pid}/cmdline`, 'utf8'),
          );
        } catch {
          // It ended while it was looked at.
        }
      }
      // A layer that cannot be had, so that the pull fails and says so in the log.
      if (!request.url!.includes('/blobs/')) return false;
      response.writeHead(request.url!.includes(image.id) ? 200 : 403).end(image.config);
      return true;
    };
    chmodSync(
      write(
        'docker-credential-test',
        `#!/bin/sh\necho '{"Username":"user","Secret":"s3cret:x"}'; echo s3cret:x >&2\n`,
      ),
      0o755,
    );
    const lines: string[] = [];
    const bench = open({
      authFiles: [write('auth.json', { credsStore: 'test' })],
      helperDirs: [root],
      log: pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) }),
    });
    await expect(pull(bench, `${registry.host}/app:v1`)).rejects.toThrow(/access denied/);
    expect(registry.requests('/blobs/').length).toBeGreaterThan(1);
    expect(looks.length).toBeGreaterThan(0);
    expect(lines.join('')).toContain('access denied');
    for (const text of [...looks, ...lines]) expect(text).not.toMatch(new RegExp(`s3cret|${basic}`));
  });
});

describe('the signature policy', () => {
  it('lets in what the key signed, be it the index or the manifest, and nothing else', async () => {
    const registry = await startRegistry();
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const keyPath = write('cosign.pub', publicKey.export({ type: 'spki', format: 'pem' }).toString());
    const other = testImage([testLayer([{ name: 'other' }])]);
    const index = testIndex([
      { image, platform: { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch } },
    ]);
    for (const name of ['signed', 'multi']) await publish(registry, name, image, ['v1']);
    await publish(registry, 'signed', other, ['v2']);
    await registry.putManifest('multi', 'v1', index.body, mediaTypes.ociIndex);
    const sign = (repository: string, digest: string) =>
      putSignatures(registry, repository, digest, [
        { key: privateKey, name: `${registry.host}/${repository}` },
      ]);
    await sign('signed', image.manifestDigest);
    await sign('multi', index.digest);
    const policy = write('policy.json', {
      default: [{ type: 'reject' }],
      transports: {
        docker: {
          [registry.host]: [{ type: 'sigstoreSigned', keyPath, signedIdentity: { type: 'matchRepository' } }],
        },
      },
    });
    const bench = open({ policy: { path: policy, mayBeMissing: false }, retryGraceMs: 0 });
    await expect(pull(bench, `${registry.host}/signed:v2`)).rejects.toMatchObject({
      kind: 'Unknown',
      message: expect.stringMatching(/^SignatureValidationFailed: image .*signed:v2: no signature for/),
    });
    await expect(pull(bench, 'elsewhere.example/app')).rejects.toThrow(
      /^SignatureValidationFailed: .*rejects/,
    );
    expect(bench.images.list()).toEqual([]);
    await vi.waitFor(() => expect(bench.leftovers()).toEqual([]));
    expect((await pull(bench, `${registry.host}/signed:v1`)).id).toBe(image.id);
    expect((await pull(bench, `${registry.host}/multi:v1`)).id).toBe(image.id);
    expect((await pull(bench, `${registry.host}/signed@${image.manifestDigest}`)).repoDigests).toHaveLength(
      2,
    );
  });
});

describe('an artifact', () => {
  const files = [
    { content: Buffer.alloc(300_000, 'weights '), title: 'model/weights.bin' },
    { content: Buffer.from('hello'), title: 'README' },
    { content: Buffer.from('chart'), mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip' },
  ];

  it('is pulled as files, listed, mounted as an image volume, kept over a restart, and removed', async () => {
    const registry = await startRegistry();
    const type = { artifactType: 'application/vnd.example.model' };
    const { digest, sizeBytes } = await publishArtifact(registry, 'model', 'v1', files, type);
    const bench = open();
    const pulled = await pull(bench, `${registry.host}/model:v1`);
    expect(pulled).toMatchObject({
      id: digest,
      repoTags: [`${registry.host}/model:v1`],
      repoDigests: [`${registry.host}/model@${digest}`],
      sizeBytes,
      artifactType: 'application/vnd.example.model',
    });
    expect(JSON.parse(pulled.rawConfig)).toMatchObject({ layers: [{}, {}, {}] });
    await bench.images.settled();
    await bench.reopen({ bootId: 'boot-2' });
    const kept = bench.images.find(digest)!;
    expect(kept).toEqual(pulled);
    bench.mounted(await bench.snapshotter.view('volume', kept.chainId!), (directory) => {
      expect(readdirSync(directory)).toHaveLength(3);
      expect(readFileSync(join(directory, 'model/weights.bin')).equals(files[0]!.content)).toBe(true);
      expect(lstatSync(directory).mode & 0o7777).toBe(0o755);
      expect(lstatSync(join(directory, 'README'))).toMatchObject({ mode: 0o100644, uid: 0, size: 5 });
      expect(() => writeFileSync(join(directory, 'README'), 'x')).toThrow(/EROFS/);
    });
    expect(Math.abs(bench.diskBytes() - (await bench.images.usage()).usedBytes)).toBeLessThan(100_000);
    await bench.snapshotter.remove('volume');
    await bench.images.remove(digest);
    await bench.images.settled();
    expect(bench.leftovers()).toEqual([]);
  });

  it('shares files with others, is gone on with after a failure, and shows nothing that its digest does not', async () => {
    const registry = await ScriptedRegistry.start();
    undo.push(() => registry.stop());
    await publishArtifact(registry, 'a', 'v1', files.slice(0, 2), {
      config: 'application/vnd.example.config',
    });
    await publishArtifact(registry, 'b', 'v1', files, {});
    const bench = open({ retryGraceMs: 0 });
    const big = files[0]!.content;
    registry.intercept = (request, response) => {
      if (!request.url!.includes('/blobs/')) return false;
      response.writeHead(200).end(Buffer.alloc(big.length, 'lies'));
      return true;
    };
    await expect(pull(bench, `${registry.host}/a:v1`)).rejects.toThrow(/digest|more than/);
    await vi.waitFor(() => expect(bench.leftovers()).toEqual([]));
    let isFirst = true;
    registry.intercept = (request, response) => {
      if (!request.url!.includes('/blobs/') || !isFirst) return false;
      isFirst = false;
      response.writeHead(200, { 'Content-Length': big.length });
      response.write(big.subarray(0, 100_000), () => request.socket.destroy());
      return true;
    };
    const a = await pull(bench, `${registry.host}/a:v1`);
    expect(registry.seen.some(({ headers }) => headers.range === 'bytes=100000-')).toBe(true);
    const before = registry.requests('/blobs/').length;
    const b = await pull(bench, `${registry.host}/b:v1`);
    expect(registry.requests('/blobs/').length).toBe(before + 1);
    expect([a.artifactType, b.artifactType]).toEqual([
      'application/vnd.example.config',
      'application/vnd.oci.empty.v1+json',
    ]);
    await publishArtifact(registry, 'evil', 'v1', [{ content: big, title: '../../escape' }], {});
    await expect(pull(bench, `${registry.host}/evil:v1`)).rejects.toThrow(/"..\/..\/escape" cannot be/);
  });
});
