/** The commands on images against a real daemon and a real registry, their archives read and written by other tools too. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BehaviourBed } from '#conformance/behaviour/bed.ts';
import { imageNames } from '#conformance/behaviour/images.ts';
import { RealRegistry } from '#images/testing/real-registry.ts';
import { tar } from '#images/testing/tar-writer.ts';
import { testImage, testLayer } from '#images/testing/test-image.ts';
import { Berth } from './testing/berth.ts';

/** `user:s3cret:x`, as htpasswd -B writes it. */
const htpasswd = 'user:$2b$04$FvfwQ5bs2YfxOFRydqz29uJELDJ4wAqcRa7juTJnZ.VidX//1tZzO';

let bed: BehaviourBed;
let berth: Berth;
let registry: RealRegistry;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'bi-'));
  bed = await BehaviourBed.start({
    images: [imageNames.busybox],
    config: (folder) => ({
      images: { auth_files: [join(folder, 'auth.json')], registry_config_dirs: [join(folder, 'hosts')] },
    }),
  });
  berth = new Berth(join(bed.dir, 'berth.sock'));
  registry = await RealRegistry.start();
});
afterAll(async () => {
  await registry?.stop();
  rmSync(dir, { recursive: true, force: true });
  await bed?.close();
});

const idOf = async (name: string) =>
  (JSON.parse(await berth.ok('inspect', '--type', 'image', name)) as { id: string }[])[0]!.id;
const skopeo = (...args: string[]) =>
  execFileSync('skopeo', ['--insecure-policy', ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
const writableKeys = async () => (await bed.call('ListContainers', {})).containers.length;

test('pulled, listed, named, told of and removed', async () => {
  const pulled = await berth.run(['pull', 'busybox']);
  expect(pulled).toMatchObject({ status: 0, stdout: 'docker.io/library/busybox:latest\n' });
  expect(pulled.stderr).toMatch(/^pulling busybox\n[0-9a-f]{12} {2}done .*\ndigest sha256:/);
  const id = await idOf('busybox');
  expect(await berth.ok('pull', '-q', 'busybox')).toBe(`${id}\n`);
  expect(await berth.ok('tag', 'busybox', 'mine:1')).toBe('docker.io/library/mine:1\n');
  expect(await berth.ok('images')).toMatch(/^REPOSITORY +TAG +IMAGE ID[\s\S]*busybox +latest[\s\S]*mine +1/);
  expect(await berth.ok('images', '--digests', 'busybox')).toMatch(/sha256:[0-9a-f]{64}/);
  expect(await berth.ok('images', '-q', '--filter', 'reference=min*', '--no-trunc')).toBe(`${id}\n`);
  expect(JSON.parse(await berth.ok('images', '--json', 'mine'))).toMatchObject([{ id, tag: '1' }]);
  expect(await berth.ok('history', 'busybox')).toMatch(/LAYER/);
  expect(await berth.ok('rmi', 'mine:1')).toBe('untagged docker.io/library/mine:1\n');
  expect((await berth.run(['rmi', 'mine:1'])).status).toBe(1);
  expect(await idOf('busybox')).toBe(id);
  expect((await berth.run(['pull', '--platform', 'linux/s390x', 'busybox'])).stderr).toContain('linux/s390x');
  expect((await berth.run(['pull', '--platform', 'nonsense', 'busybox'])).stderr).toContain(
    'os/architecture',
  );
});

test('an image in use is not removed, and what uses it is named; its bytes are accounted for', async () => {
  await berth.ok('run', '-d', '--name', 'user', 'busybox', 'sleep', '1000');
  const refused = await berth.run(['rmi', 'busybox']);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toMatch(/used by container [0-9a-f]{12}/);
  expect(await berth.ok('df')).toMatch(/Images +1 +1 /);
  expect(await berth.ok('df', '-v')).toMatch(/busybox:latest.*used by user; has a tag/);
  const dry = await berth.ok('prune', '--all', '--dry-run');
  expect(dry).toBe('would free 0 B\n');
  await berth.ok('rm', '-f', 'user');
  expect(await berth.ok('prune', '--all', '--dry-run')).toMatch(
    /would remove [0-9a-f]{12} docker.io\/library\/busybox/,
  );
  expect(await berth.ok('images', '-q')).not.toBe('');
  expect((await berth.run(['prune', '--all'])).status).toBe(2);
  expect(await berth.ok('prune', '--all', '--until', '1h', '--dry-run')).toMatch(/would free/);
});

test('what was pulled is pushed as it came, is there the second time, and is taken over by another repository', async () => {
  await berth.ok('pull', '-q', 'busybox');
  const id = await idOf('busybox');
  const target = `${registry.host}/team/app:1`;
  const pushed = await berth.run(['push', 'busybox', target]);
  expect(pushed).toMatchObject({ status: 0 });
  expect(pushed.stderr).not.toContain('warning');
  expect(pushed.stderr).toMatch(/ done /);
  const remote = JSON.parse(skopeo('inspect', '--raw', '--tls-verify=false', `docker://${target}`)) as {
    config: { digest: string };
  };
  expect(remote.config.digest).toBe(id);
  expect((await berth.run(['push', 'busybox', target])).stderr).toContain('there already');
  const taken = await berth.run(['push', 'busybox', `${registry.host}/other/app:1`]);
  expect(taken.stderr).toContain('taken over');
  await berth.ok('rmi', '-f', 'busybox');
  await berth.ok('pull', '-q', `${registry.host}/other/app:1`);
  expect(await idOf(`${registry.host}/other/app:1`)).toBe(id);
  await berth.ok('rmi', `${registry.host}/other/app:1`);
  await berth.ok('pull', '-q', 'busybox');
});

test('saved and loaded in both forms, also by and for other tools', async () => {
  const id = await idOf('busybox');
  for (const format of ['oci', 'docker-archive']) {
    const file = join(dir, `${format}.tar`);
    await berth.ok('save', '-o', file, '--format', format, 'busybox');
    const transport = format === 'oci' ? 'oci-archive' : 'docker-archive';
    const seen = JSON.parse(skopeo('inspect', '--config', `${transport}:${file}`)) as { rootfs: unknown };
    expect(seen.rootfs).toMatchObject({ type: 'layers' });
    await berth.ok('rmi', 'busybox');
    expect(await berth.ok('load', '-i', file)).toBe('loaded docker.io/library/busybox:latest\n');
    expect(await idOf('busybox')).toBe(id);
    expect(await berth.ok('run', '--rm', 'busybox', 'echo', 'runs')).toBe('runs\n');
  }
  // As other tools write them, compressed as a whole, through standard input.
  for (const transport of ['oci-archive', 'docker-archive']) {
    const file = join(dir, `skopeo-${transport}.tar`);
    skopeo('copy', `oci-archive:${join(dir, 'oci.tar')}`, `${transport}:${file}:localhost/theirs:2`);
    const packed = execFileSync('gzip', ['-c', file], { maxBuffer: 1 << 30 });
    const loaded = await berth.run(['load'], packed);
    expect(loaded).toMatchObject({ status: 0, stdout: 'loaded localhost/theirs:2\n' });
    expect(await berth.ok('run', '--rm', 'localhost/theirs:2', 'echo', 'runs')).toBe('runs\n');
    await berth.ok('rmi', 'localhost/theirs:2');
  }
  // A loaded image keeps its blobs: it goes out as it came in, with no registry to fetch from.
  const pushed = await berth.run(['push', 'busybox', `${registry.host}/loaded:1`]);
  expect(pushed).toMatchObject({ status: 0 });
  expect(pushed.stderr).not.toContain('warning');
  await berth.ok('rmi', 'busybox');
  await berth.ok('pull', '-q', 'busybox');
});

test('what nobody has the blobs of any more is packed anew, and said to be', async () => {
  await berth.ok('run', '--name', 'base', 'busybox', 'sh', '-c', 'echo mine > /mine');
  const id = (await berth.ok('commit', '-q', 'base', 'orphan:1')).trim();
  await berth.ok('rm', 'base');
  await berth.ok('rmi', 'busybox');
  const target = `${registry.host}/orphan:1`;
  const pushed = await berth.run(['push', 'orphan:1', target]);
  expect(pushed).toMatchObject({
    status: 0,
    stderr: expect.stringContaining('1 of its layers had to be packed anew'),
  });
  const [, first] = pushed.stdout.split('@');
  // The same layers give the same bytes.
  expect((await berth.run(['push', 'orphan:1', target])).stdout.split('@')[1]).toBe(first);
  await berth.ok('rmi', 'orphan:1');
  await berth.ok('pull', '-q', target);
  expect(await idOf(target)).not.toBe(id);
  expect(await berth.ok('run', '--rm', target, 'cat', '/mine')).toBe('mine\n');
  expect(await berth.ok('run', '--rm', target, 'stat', '-c', '%a', '/tmp', '/bin/busybox')).toMatch(
    /^\d+\n\d+\n$/,
  );
  await berth.ok('rmi', target);
  await berth.ok('pull', '-q', 'busybox');
});

test('damaged and hostile archives are refused and leave nothing', async () => {
  const before = await berth.ok('df', '--json');
  const layer = testLayer([{ name: 'file', content: 'x' }], 'none');
  const image = testImage([layer]);
  const hex = (digest: string) => `blobs/sha256/${digest.slice(7)}`;
  const layout = (change: { layer?: Buffer; config?: Buffer }) =>
    tar([
      { name: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' },
      {
        name: 'index.json',
        content: JSON.stringify({
          schemaVersion: 2,
          manifests: [
            {
              mediaType: 'application/vnd.oci.image.manifest.v1+json',
              digest: image.manifestDigest,
              size: image.manifest.length,
            },
          ],
        }),
      },
      { name: hex(image.manifestDigest), content: image.manifest },
      { name: hex(image.id), content: change.config ?? image.config },
      { name: hex(layer.diffId), content: change.layer ?? layer.blob },
    ]);
  const evil = testLayer([{ name: '../../evil', content: 'x' }], 'none');
  const evilImage = testImage([evil]);
  const archives: readonly (readonly [string, Buffer, RegExp])[] = [
    ['wrong layer', layout({ layer: Buffer.alloc(layer.blob.length) }), /layer sha256:.* has digest/],
    ['wrong config', layout({ config: Buffer.from('{}') }), /has digest/],
    ['cut off', layout({}).subarray(0, 3000), /archive refused/],
    ['no archive', Buffer.from('nothing of the kind'.repeat(100)), /archive refused/],
    ['a name that leads out', tar([{ name: '../x', content: 'x' }]), /leads out/],
    ['a device', tar([{ name: 'x', type: 'char' }]), /archive refused/],
    ['nothing in it', tar([{ name: 'x', content: 'x' }]), /neither an OCI layout/],
    [
      'a layer that leads out',
      tar([
        { name: 'c.json', content: evilImage.config },
        { name: 'l.tar', content: evil.blob },
        {
          name: 'manifest.json',
          content: JSON.stringify([{ Config: 'c.json', RepoTags: ['evil:1'], Layers: ['l.tar'] }]),
        },
      ]),
      /leads out of the layer/,
    ],
  ];
  for (const [what, archive, words] of archives) {
    const { status, stderr } = await berth.run(['load'], archive);
    expect({ what, status, isSaid: words.test(stderr) ? '' : stderr }).toEqual({
      what,
      status: 1,
      isSaid: '',
    });
  }
  expect(await berth.ok('load', '--help')).toContain('Usage');
  expect(await berth.ok('df', '--json')).toBe(before);
  expect((await berth.run(['load'], layout({}))).stdout).toBe(`loaded ${image.id}\n`);
  await berth.ok('rmi', image.id);
});

test('a container is told of and becomes an image, with what it deleted, linked and made opaque', async () => {
  const volume = join(dir, 'volume');
  mkdirSync(volume);
  const script = [
    'mkdir -p /kept/sub && echo one > /kept/sub/file && ln /kept/sub/file /kept/linked && ln -s file /kept/sub/soft',
    'rm /bin/wget; rm -r /tmp; mkdir /tmp; echo fresh > /tmp/fresh',
    'mknod /kept/null c 1 3; chown 12:34 /kept/linked; chmod 4755 /kept/sub/file; sleep 1000',
  ].join('; ');
  await berth.ok('run', '-d', '--name', 'work', '-v', `${volume}:/volume`, 'busybox', 'sh', '-c', script);
  await expect
    .poll(() => berth.ok('exec', 'work', 'stat', '-c', '%u', '/kept/linked'), { timeout: 10_000 })
    .toBe('12\n');
  const lines = (await berth.ok('diff', 'work')).trim().split('\n');
  expect(lines).toEqual(
    expect.arrayContaining(['A /kept', 'A /kept/sub/file', 'A /kept/linked', 'C /bin', 'D /bin/wget']),
  );
  expect(lines.filter((line) => / \/(proc|sys|dev|volume|etc\/hosts)/.test(line))).toEqual([]);
  const changes = [
    '-c',
    'CMD ["sh", "-c", "echo $GREETING from $(pwd)"]',
    '-c',
    'ENV GREETING="good day"',
    '-c',
    'WORKDIR /kept',
  ];
  const id = (await berth.ok('commit', ...changes, '-m', 'my work', '-a', 'me', 'work', 'worked:1')).trim();
  expect(await berth.ok('run', '--rm', 'worked:1')).toBe('good day from /kept\n');
  const looks =
    'ls -i sub/file linked | cut -c1-9 | uniq | wc -l; stat -c %u:%g:%a linked; ls /tmp; ls /bin/wget 2>&1; stat -c %t:%T null; cat sub/soft';
  const seen = await berth.ok('run', '--rm', 'worked:1', 'sh', '-c', `${looks}; true`);
  expect(seen.split('\n').slice(1)).toEqual([
    '12:34:4755',
    'fresh',
    'ls: /bin/wget: No such file or directory',
    '1:3',
    'one',
    '',
  ]);
  expect(await berth.ok('history', 'worked:1')).toMatch(/berth commit .*my work/);
  // It goes on after it stood still.
  expect(await berth.ok('exec', 'work', 'echo', 'on')).toBe('on\n');
  await berth.ok('stop', '-t', '0', 'work');
  const stopped = (await berth.ok('commit', '-q', 'work')).trim();
  expect(stopped).toMatch(/^sha256:/);
  await berth.ok('push', 'worked:1', `${registry.host}/worked:1`);
  expect(
    JSON.parse(skopeo('inspect', '--raw', '--tls-verify=false', `docker://${registry.host}/worked:1`)).config
      .digest,
  ).toBe(id);
  expect((await berth.run(['commit', '-c', 'RUN x', 'work'])).stderr).toContain('begin with one of');
  await berth.ok('rm', 'work');
  await berth.ok('rmi', '-f', 'worked:1', stopped);
  expect(await writableKeys()).toBe(0);
});

test('a login is checked, kept for its owner, used by the daemon, and forgotten', async () => {
  const closed = await RealRegistry.start({ htpasswd, userPassword: 'user:s3cret:x' });
  const file = join(bed.dir, 'auth.json');
  const login = (password: string) =>
    berth.run(['login', '-u', 'user', '--password-stdin', '--authfile', file, closed.host], `${password}\n`);
  try {
    const wrong = await login('guess');
    expect(wrong.status).toBe(1);
    expect(wrong.stderr).toContain('user name or password is wrong');
    expect(existsSync(file)).toBe(false);
    expect((await berth.run(['push', 'busybox', `${closed.host}/x:1`])).stderr).toContain('berth login');
    const right = await login('s3cret:x');
    expect(right).toMatchObject({ status: 0, stdout: `logged in to ${closed.host} as user\n` });
    expect(right.stderr).not.toContain('warning');
    await berth.ok('push', 'busybox', `${closed.host}/x:1`);
    await berth.ok('logout', '--authfile', file, closed.host);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ auths: {} });
    const creds = ['pull', '-q', '--creds', 'user:s3cret:x', `${closed.host}/x:1`];
    expect((await berth.run(creds)).status).toBe(0);
    expect((await berth.run(['pull', '--creds', 'user:guess', `${closed.host}/x:1`])).status).toBe(1);
    await berth.ok('rmi', `${closed.host}/x:1`);
    // A helper keeps it instead of the file.
    const bin = join(dir, 'bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'docker-credential-test'), `#!/bin/sh\ncat > ${dir}/helper-$1\n`);
    chmodSync(join(bin, 'docker-credential-test'), 0o755);
    writeFileSync(file, JSON.stringify({ credHelpers: { [closed.host]: 'test' } }));
    const { PATH } = process.env;
    process.env.PATH = `${bin}:${PATH}`;
    try {
      const helped = new Berth(join(bed.dir, 'berth.sock'));
      const args = ['login', '-u', 'user', '--password-stdin', '--authfile', file, closed.host];
      expect((await helped.run(args, 's3cret:x')).status).toBe(0);
    } finally {
      process.env.PATH = PATH;
    }
    expect(JSON.parse(readFileSync(join(dir, 'helper-store'), 'utf8'))).toEqual({
      ServerURL: closed.host,
      Username: 'user',
      Secret: 's3cret:x',
    });
    expect(readFileSync(file, 'utf8')).not.toContain('auths');
  } finally {
    rmSync(file, { force: true });
    await closed.stop();
  }
});

test('on a terminal a layer has a bar', async () => {
  await berth.ok('rmi', '-f', 'busybox');
  const terminal = berth.onTerminal(['pull', 'busybox']);
  expect(await terminal.ended()).toBe(0);
  expect(terminal.shown).toMatch(/[0-9a-f]{12} (\[=*>? *\]| ?done| ?waiting)/);
  const file = join(dir, 'shown.tar');
  await berth.ok('save', '-o', file, 'busybox');
  const loading = berth.onTerminal(['load', '-i', file]);
  expect(await loading.ended()).toBe(0);
  expect(loading.shown).toMatch(/archive .*unpacked/);
  expect(loading.shown).toContain('loaded docker.io/library/busybox:latest');
});
