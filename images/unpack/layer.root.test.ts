import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RuntimeError } from '#base/errors.ts';
import { performMount, unmount } from '#host/mount.ts';
import { findXattr } from '#host/xattr.ts';
import { digestOf } from '../digest.ts';
import { type TestEntry, tar } from '../testing/tar-writer.ts';
import { inheritMetadata } from './inherit.ts';
import { LayerPipeline, type PipelineResult } from './layer-pipeline.ts';
import { defaultUnpackLimits, type UnpackedTree } from './layer-writer.ts';

const tmpfsMagic = 0x01021994;

let root: string;
let count = 0;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'layer-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

async function run(
  blob: Buffer,
  limits = defaultUnpackLimits,
): Promise<PipelineResult & { directory: string }> {
  count += 1;
  const directory = join(root, `layer${count}`);
  mkdirSync(directory, { mode: 0o700 });
  const pipeline = new LayerPipeline(directory, { blob: digestOf(blob), diffId: digestOf('') }, limits);
  for (let at = 0; at < blob.length; at += 5000) await pipeline.write(blob.subarray(at, at + 5000));
  return { ...(await pipeline.finish()), directory };
}

/** Unpacks entries; the directory and what is known of it. Throws what the layer is refused for. */
async function unpack(
  entries: readonly TestEntry[],
  limits = defaultUnpackLimits,
): Promise<UnpackedTree & { directory: string }> {
  const { tree, directory } = await run(tar(entries), limits);
  if (tree instanceof RuntimeError) throw tree;
  return { ...tree, directory };
}

/** What overlayfs makes of layers, topmost first. */
async function mounted<T>(lowers: readonly string[], look: (merged: string) => T): Promise<T> {
  const [merged, empty] = [join(root, 'merged'), join(root, 'empty')];
  mkdirSync(merged, { recursive: true });
  mkdirSync(empty, { recursive: true });
  performMount(
    { type: 'overlay', source: 'o', flags: 0, data: `lowerdir=${[...lowers, empty].join(':')}` },
    merged,
  );
  try {
    return look(merged);
  } finally {
    unmount(merged);
  }
}

const read = (...parts: string[]) => readFileSync(join(...parts), 'utf8');

describe('a layer', () => {
  it('is unpacked with everything that its entries say', async () => {
    const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
    const { directory, usedBytes, inodes } = await unpack([
      { name: './', mode: 0o700, uid: 1, gid: 2 },
      { name: 'bin/', mode: 0o2755, gid: 50, mtime: 1_000_000_000 },
      { name: 'bin/su', content: 'su', mode: 0o4755, uid: 12, gid: 34, pax: { mtime: '-1.5' } },
      {
        name: 'bin/ping',
        content: 'ping',
        mode: 0o755,
        pax: { 'SCHILY.xattr.security.capability': capability },
      },
      { name: 'bin/sudo', type: 'hardlink', link: 'bin/su' },
      { name: 'tmp/', mode: 0o1777 },
      { name: 'null', type: 'char', major: 1, minor: 3, mode: 0o666 },
      { name: 'disk', type: 'block', major: 259, minor: 70_000 },
      { name: 'pipe', type: 'fifo', mode: 0o600 },
      { name: 'link', type: 'symlink', link: '/etc/../x', uid: 7 },
      { name: Buffer.from([0x66, 0xff]), content: 'raw' },
      { name: '/abs', content: 'abs' },
      { name: `long/${'n'.repeat(200)}`, content: 'n', isGnuLong: true },
      { name: 'hole', content: 'ab', pax: { 'GNU.sparse.size': '50000000', 'GNU.sparse.map': '40000000,2' } },
    ]);
    const stat = (name: string) => lstatSync(join(directory, name));
    expect(stat('')).toMatchObject({ mode: 0o40700, uid: 1, gid: 2 });
    expect(stat('bin')).toMatchObject({ mode: 0o42755, gid: 50, mtimeMs: 1e12 });
    expect(stat('bin/su')).toMatchObject({ mode: 0o104755, uid: 12, gid: 34, nlink: 2, mtimeMs: -1500 });
    expect(stat('bin/sudo').ino).toBe(stat('bin/su').ino);
    expect(findXattr(join(directory, 'bin/ping'), 'security.capability')).toEqual(capability);
    expect(stat('tmp').mode).toBe(0o41777);
    expect(stat('null')).toMatchObject({ rdev: 0x103, mode: 0o20666 });
    expect(
      execFileSync('stat', ['-c', '%Hr:%Lr', join(directory, 'disk')], { encoding: 'utf8' }).trim(),
    ).toBe('259:70000');
    expect(stat('pipe').isFIFO()).toBe(true);
    expect([readlinkSync(join(directory, 'link')), stat('link').uid]).toEqual(['/etc/../x', 7]);
    expect(readdirSync(directory, 'latin1')).toContain('f\xff');
    expect(read(directory, 'abs')).toBe('abs');
    expect(read(directory, `long/${'n'.repeat(200)}`)).toBe('n');
    expect(stat('hole').size).toBe(50_000_000);
    expect(stat('hole').blocks).toBeLessThan(100);
    const du = execFileSync('du', ['-s', '--block-size=1', directory], { encoding: 'utf8' });
    // A directory takes a block, but none on a tmpfs, which /tmp is on Debian 13.
    const folders =
      execFileSync('find', [directory, '-type', 'd'], { encoding: 'latin1' }).split('\n').length - 1;
    const unseenBytes = statfsSync(directory).type === tmpfsMagic ? folders * 4096 : 0;
    expect(Math.abs(usedBytes - unseenBytes - Number.parseInt(du, 10))).toBeLessThan(3 * 4096);
    expect(inodes).toBe(
      Number(execFileSync('sh', ['-c', `find ${directory} -printf '%i\\n' | sort -u | wc -l`])),
    );
  });

  it('hides what lower layers have, but nothing of its own, in any order', async () => {
    const lower = await unpack(
      ['gone', 'replaced', 'dir/old', 'opaque/old', 'both/old', 'kept/old', 'late/old', 'deep/a/b/old'].map(
        (name) => ({ name, content: 'old' }),
      ),
    );
    const upper = await unpack([
      { name: '.wh.gone' },
      { name: '.wh.never-was' },
      { name: '.wh.replaced' },
      { name: 'replaced', content: 'new' },
      { name: '.wh.dir' },
      { name: 'dir/new', content: 'new' },
      { name: 'opaque/new', content: 'new' },
      { name: 'opaque/.wh..wh..opq' },
      { name: 'both/new', content: 'new' },
      { name: '.wh.both' },
      { name: 'late', content: 'now a file' },
      { name: '.wh.late' },
      { name: 'deep/a/.wh.b' },
      { name: '.wh..wh.plnk/1.2', content: 'aufs' },
      { name: '.wh..wh.aufs' },
    ]);
    await mounted([upper.directory, lower.directory], (merged) => {
      expect(readdirSync(merged).sort()).toEqual([
        '.wh..wh.plnk',
        'both',
        'deep',
        'dir',
        'kept',
        'late',
        'opaque',
        'replaced',
      ]);
      expect(readdirSync(join(merged, 'dir'))).toEqual(['new']);
      expect(readdirSync(join(merged, 'opaque'))).toEqual(['new']);
      expect(readdirSync(join(merged, 'both'))).toEqual(['new']);
      expect(readdirSync(join(merged, 'kept'))).toEqual(['old']);
      expect(readdirSync(join(merged, 'deep/a'))).toEqual([]);
      expect([read(merged, 'replaced'), read(merged, 'late')]).toEqual(['new', 'now a file']);
    });
  });

  it('lets a later entry take the place of an earlier one', async () => {
    const { directory } = await unpack([
      { name: 'd/f', content: '1' },
      { name: 'd', type: 'symlink', link: '/etc' },
      { name: 'e', type: 'symlink', link: '/etc' },
      { name: 'e/', mode: 0o711 },
      { name: 'f', content: 'first and long' },
      { name: 'f', content: 'second' },
      { name: 'g/' },
      { name: 'g/x', content: 'x' },
      { name: 'g/', mode: 0o700 },
    ]);
    expect(lstatSync(join(directory, 'd')).isSymbolicLink()).toBe(true);
    expect(lstatSync(join(directory, 'e')).mode).toBe(0o40711);
    expect(read(directory, 'f')).toBe('second');
    expect([read(directory, 'g/x'), lstatSync(join(directory, 'g')).mode]).toEqual(['x', 0o40700]);
  });

  it('gives directories that it implies the metadata of the nearest lower layer', async () => {
    const base = await unpack([
      { name: './', mode: 0o711 },
      { name: 'a/', mode: 0o750, uid: 5, mtime: 1_000_000 },
      { name: 'a/b/', mode: 0o700, pax: { 'SCHILY.xattr.user.note': 'hi', mtime: '5.000000007' } },
      { name: 'w/', mode: 0o700 },
      { name: 'o/p/', mode: 0o700 },
    ]);
    const middle = await unpack([
      { name: './', mode: 0o711 },
      { name: 'a/', mode: 0o751, uid: 6 },
      { name: '.wh.w' },
      { name: 'o/.wh..wh..opq' },
    ]);
    const top = await unpack(
      ['a/b/new', 'w/new', 'o/p/new', 'fresh/new'].map((name) => ({ name, content: 'n' })),
    );
    expect(top.implied).toEqual(expect.arrayContaining(['', 'a', 'a/b', 'w', 'fresh']));
    const list = join(root, 'implied');
    writeFileSync(list, JSON.stringify(top.implied));
    inheritMetadata(top.directory, list, [middle.directory, base.directory]);
    const mode = (name: string) => lstatSync(join(top.directory, name)).mode & 0o7777;
    expect(['', 'a', 'a/b', 'w', 'o/p', 'fresh'].map(mode)).toEqual([
      0o711, 0o751, 0o700, 0o755, 0o755, 0o755,
    ]);
    expect(lstatSync(join(top.directory, 'a')).uid).toBe(6);
    expect(lstatSync(join(top.directory, 'a/b'), { bigint: true }).mtimeNs).toBe(5_000_000_007n);
    expect(findXattr(join(top.directory, 'a/b'), 'user.note')?.toString()).toBe('hi');
    expect(existsSync(list)).toBe(false);
  });

  it('may be plain, gzip in members, or zstd in frames, also small ones with others between', async () => {
    const archive = tar([
      { name: 'f', content: 'content '.repeat(3000) },
      { name: 'big', content: Buffer.alloc(9 << 20, 'zstd') },
    ]);
    const skippable = Buffer.concat([Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0]), Buffer.from('xyz')]);
    const pieces = [archive.subarray(0, 100), archive.subarray(100, 20_000), archive.subarray(20_000)];
    const forms = [
      archive,
      gzipSync(archive),
      Buffer.concat(pieces.map((piece) => gzipSync(piece))),
      zstdCompressSync(archive),
      Buffer.concat([skippable, ...pieces.flatMap((piece) => [zstdCompressSync(piece), skippable])]),
    ];
    for (const form of forms) {
      const result = await run(form);
      expect(result.tree).not.toBeInstanceOf(Error);
      expect([result.blobDigest, result.diffId]).toEqual([digestOf(form), digestOf(archive)]);
      expect(read(result.directory, 'f')).toBe('content '.repeat(3000));
    }
  });
});

describe('a hostile or damaged layer', () => {
  const outside = () => join(root, 'outside');
  it.each<[string, (target: string) => TestEntry[], RegExp]>([
    ['a name with ..', () => [{ name: '../outside/x' }], /leads out of the layer/],
    ['a name with .. inside', () => [{ name: 'a/../../outside/x' }], /leads out of the layer/],
    ['a hard link outside', () => [{ name: 'h', type: 'hardlink', link: '../outside/victim' }], /leads out/],
    [
      'a hard link by absolute name',
      (target) => [{ name: 'h', type: 'hardlink', link: `${target}/victim` }],
      /no file of this layer/,
    ],
    [
      'a hard link through a link',
      (target) => [
        { name: 'l', type: 'symlink', link: target },
        { name: 'h', type: 'hardlink', link: 'l/victim' },
      ],
      /no file of this layer/,
    ],
    [
      'a hard link to a directory',
      () => [{ name: 'd/' }, { name: 'h', type: 'hardlink', link: 'd' }],
      /no file of this layer/,
    ],
    [
      'a hard link to a whiteout',
      () => [{ name: '.wh.w' }, { name: 'h', type: 'hardlink', link: 'w' }],
      /no file of this layer/,
    ],
    [
      'a loop of links',
      () => [
        { name: 'a', type: 'symlink', link: 'b' },
        { name: 'b', type: 'symlink', link: 'a' },
        { name: 'a/x' },
      ],
      /too many symbolic links/,
    ],
    ['a file below a file', () => [{ name: 'f' }, { name: 'f/x' }], /is no directory/],
    [
      'a root that is a link',
      (target) => [{ name: './', type: 'symlink', link: target }],
      /root is not a directory/,
    ],
    ['a whiteout of ..', () => [{ name: 'd/.wh...' }], /no proper whiteout/],
    ['a whiteout of .', () => [{ name: '.wh..' }], /no proper whiteout/],
    ['a whiteout of nothing', () => [{ name: '.wh.' }], /no proper whiteout/],
    [
      'an attribute of overlayfs',
      () => [{ name: 'd/', pax: { 'SCHILY.xattr.trusted.overlay.redirect': '/etc' } }],
      /trusted\.overlay\.redirect/,
    ],
    ['a link to nothing', () => [{ name: 'l', type: 'symlink' }], /no target/],
    ['a component of 300 bytes', () => [{ name: 'x', pax: { path: 'n'.repeat(300) } }], /longer than 255/],
    ['a path of 5000 bytes', () => [{ name: 'x', pax: { path: 'n/'.repeat(2500) } }], /longer than 4096/],
  ])('with %s is refused and harms nothing', async (_what, entries, text) => {
    mkdirSync(outside());
    writeFileSync(join(outside(), 'victim'), 'safe');
    await expect(unpack(entries(outside()))).rejects.toThrow(text);
    expect(readdirSync(outside())).toEqual(['victim']);
    expect(lstatSync(join(outside(), 'victim'))).toMatchObject({ nlink: 1 });
  });

  it('cannot write through links that it made: they are followed inside the layer only', async () => {
    mkdirSync(outside());
    const { directory } = await unpack([
      { name: 'abs', type: 'symlink', link: outside() },
      { name: 'abs/x', content: 'inside' },
      { name: 'up', type: 'symlink', link: '../../../../../..' },
      { name: 'up/y', content: 'inside' },
      { name: 'up/.wh.z' },
      { name: 'd/' },
      { name: 'd', type: 'symlink', link: outside() },
      { name: 'd/w', content: 'inside' },
      { name: 'f', type: 'symlink', link: join(outside(), 'f') },
      { name: 'f', content: 'a file now' },
    ]);
    expect(readdirSync(outside())).toEqual([]);
    expect(read(directory, outside(), 'x')).toBe('inside');
    expect(read(directory, 'y')).toBe('inside');
    expect(lstatSync(join(directory, 'f')).isFile()).toBe(true);
  });

  it('is stopped at its limits', async () => {
    const many = Array.from({ length: 20 }, (_, index) => ({ name: `f${index}` }));
    await expect(unpack(many, { ...defaultUnpackLimits, layerEntries: 10 })).rejects.toThrow(
      /more than 10 entries/,
    );
    const bomb = gzipSync(tar([{ name: 'bomb', content: Buffer.alloc(64 << 20) }]));
    expect((await run(bomb, { ...defaultUnpackLimits, layerBytes: 1 << 20 })).tree).toMatchObject({
      kind: 'ResourceExhausted',
      message: expect.stringMatching(/unpacks to more than/),
    });
    const full = { ...defaultUnpackLimits, freeBytes: 2 ** 60 };
    await expect(unpack([{ name: 'f', content: 'x' }], full)).rejects.toMatchObject({
      kind: 'ResourceExhausted',
    });
  });

  it.each([
    [
      'gzip cut off',
      gzipSync(tar([{ name: 'f', content: 'x'.repeat(5000) }])).subarray(0, -20),
      /gzip stream is damaged/,
    ],
    [
      'zstd cut off',
      zstdCompressSync(tar([{ name: 'f', content: 'x'.repeat(5000) }])).subarray(0, -5),
      /zstd stream is cut off/,
    ],
    [
      'zstd with garbage',
      Buffer.concat([zstdCompressSync(tar([])), Buffer.from('garbage')]),
      /zstd stream is damaged/,
    ],
    ['no archive', Buffer.from('<html>'.repeat(500)), /checksum/],
    ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]), /compressed with xz/],
  ])('that is %s says so', async (_what, blob, text) => {
    const { tree } = await run(blob);
    expect(tree).toMatchObject({ message: expect.stringMatching(text) });
  });
});
