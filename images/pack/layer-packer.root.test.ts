/** Layers packed from directories of changes, unpacked again by the code that unpacks layers of images. */
import { execFileSync } from 'node:child_process';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeNode, setTimes } from '#host/file-metadata.ts';
import { findXattr, setXattr } from '#host/xattr.ts';
import { digestOf } from '../digest.ts';
import { defaultUnpackLimits, LayerWriter } from '../unpack/layer-writer.ts';
import type { TarEntry } from '../unpack/tar-header.ts';
import { TarParser } from '../unpack/tar-parser.ts';
import { packLayer } from './layer-packer.ts';
import { type ChangedTree, listTreeChanges } from './tree-changes.ts';

const never = new AbortController().signal;
let root: string;
let upper: string;
let lower: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pack-'));
  upper = join(root, 'upper');
  lower = join(root, 'lower');
  for (const path of [upper, lower]) mkdirSync(path);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

async function pack(tree: ChangedTree): Promise<Buffer> {
  const chunks: Buffer[] = [];
  await packLayer(tree, (chunk) => void chunks.push(Buffer.from(chunk)), never);
  return Buffer.concat(chunks);
}

const overlay = (excluded: readonly string[] = []): ChangedTree => ({
  form: 'overlay',
  directory: upper,
  lowerDirs: [lower],
  excluded,
});

function entriesOf(archive: Buffer): TarEntry[] {
  const entries: TarEntry[] = [];
  const parser = new TarParser({ begin: (entry) => void entries.push(entry), data: () => {}, end: () => {} });
  parser.write(archive);
  parser.end();
  return entries;
}

function unpack(archive: Buffer): string {
  const target = join(root, 'unpacked');
  mkdirSync(target, { mode: 0o700 });
  const writer = new LayerWriter(target, { ...defaultUnpackLimits, freeBytes: 0 });
  const parser = new TarParser(writer);
  parser.write(archive);
  parser.end();
  writer.finish();
  return target;
}

test('files, links, devices, attributes, long and odd names come back as they were; the same tree gives the same bytes', async () => {
  const long = 'd'.repeat(120);
  mkdirSync(join(upper, long));
  writeFileSync(join(upper, long, 'f'.repeat(200)), 'long');
  writeFileSync(Buffer.concat([Buffer.from(`${upper}/odd-`), Buffer.from([0xff, 0xfe])]), 'odd');
  writeFileSync(join(upper, 'a'), 'content'.repeat(100_000), { mode: 0o640 });
  linkSync(join(upper, 'a'), join(upper, 'b'));
  symlinkSync('../'.repeat(60), join(upper, 'soft'));
  makeNode(join(upper, 'fifo'), 'fifo');
  makeNode(join(upper, 'disk'), 'block', 259, 70_000);
  setXattr(join(upper, 'a'), 'user.note', Buffer.from([0, 10, 255]));
  setXattr(join(upper, long), 'trusted.overlay.origin', Buffer.from('x'));
  execFileSync('chown', ['70000:3000000', join(upper, 'a')]);
  const time = { seconds: -5, nanoseconds: 250_000_000 };
  setTimes(join(upper, 'a'), time, time);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(upper, 'socket'), resolve));
  const archive = await pack(overlay());
  await new Promise((resolve) => server.close(resolve));
  expect(digestOf(await pack(overlay()))).toBe(digestOf(archive));
  const names = execFileSync('tar', ['-tf', '-'], { input: archive, encoding: 'utf8' }).split('\n');
  expect(names).toContain(`${long}/${'f'.repeat(200)}`);
  const target = unpack(archive);
  const [a, b] = ['a', 'b'].map((name) => lstatSync(join(target, name), { bigint: true }));
  expect(a!.ino).toBe(b!.ino);
  expect({ uid: a!.uid, gid: a!.gid, mode: a!.mode & 0o7777n, mtime: a!.mtimeNs }).toEqual({
    uid: 70_000n,
    gid: 3_000_000n,
    mode: 0o640n,
    mtime: -4_750_000_000n,
  });
  expect(readFileSync(join(target, 'b'), 'utf8')).toBe('content'.repeat(100_000));
  expect(findXattr(join(target, 'a'), 'user.note')).toEqual(Buffer.from([0, 10, 255]));
  expect(findXattr(join(target, long), 'trusted.overlay.origin')).toBeUndefined();
  expect(readlinkSync(join(target, 'soft'))).toBe('../'.repeat(60));
  const disk = lstatSync(join(target, 'disk'), { bigint: true });
  expect(disk.isBlockDevice() && disk.rdev).toBe(lstatSync(join(upper, 'disk'), { bigint: true }).rdev);
  expect(lstatSync(join(target, 'socket'), { throwIfNoEntry: false })).toBeUndefined();
});

test('whiteouts and opaque folders of overlayfs become those of an image, where they hide something', async () => {
  for (const name of ['gone', 'kept', 'replaced/old']) {
    mkdirSync(join(lower, name, '..'), { recursive: true });
    writeFileSync(join(lower, name), 'lower');
  }
  makeNode(join(upper, 'gone'), 'char', 0, 0);
  makeNode(join(upper, 'never-there'), 'char', 0, 0);
  for (const name of ['replaced', 'new']) {
    mkdirSync(join(upper, name));
    setXattr(join(upper, name), 'trusted.overlay.opaque', Buffer.from('y'));
  }
  writeFileSync(join(upper, 'replaced/fresh'), 'x');
  mkdirSync(join(upper, 'mounted'));
  writeFileSync(join(upper, 'mounted/file'), 'x');
  execFileSync('chmod', ['1750', upper]);
  expect(entriesOf(await pack(overlay(['mounted'])))[0]).toMatchObject({ name: './', mode: 0o1750 });
  execFileSync('chmod', ['755', upper]);
  const names = entriesOf(await pack(overlay(['mounted']))).map(({ name }) => name);
  expect(names.toSorted()).toEqual([
    '.wh.gone',
    'new/',
    'replaced/',
    'replaced/.wh..wh..opq',
    'replaced/fresh',
  ]);
  const kinds = [...listTreeChanges(overlay(['mounted']))].map(({ kind, path }) => `${kind} ${path}`);
  expect(kinds).toEqual(['deleted gone', 'added new', 'changed replaced', 'added replaced/fresh']);
  setXattr(join(upper, 'new'), 'trusted.overlay.redirect', Buffer.from('/old'));
  await expect(pack(overlay())).rejects.toMatchObject({ kind: 'FailedPrecondition' });
});

test('a whole tree is compared with the one below', async () => {
  for (const [folder, names] of [
    [lower, ['same', 'changed', 'gone', 'folder/file']],
    [upper, ['same', 'changed', 'new', 'folder/other']],
  ] as const)
    for (const name of names) {
      mkdirSync(join(folder, name, '..'), { recursive: true });
      writeFileSync(join(folder, name), name === 'changed' ? folder : name);
      setTimes(join(folder, name), { seconds: 1, nanoseconds: 0 }, { seconds: 1, nanoseconds: 0 });
    }
  writeFileSync(join(upper, 'changed'), 'of another length');
  const tree: ChangedTree = { form: 'whole', directory: upper, lowerDirs: [lower], excluded: [] };
  const kinds = [...listTreeChanges(tree)].map(({ kind, path }) => `${kind} ${path}`);
  expect(kinds).toEqual([
    'changed changed',
    'deleted folder/file',
    'added folder/other',
    'deleted gone',
    'added new',
  ]);
});

test('a container that runs on meanwhile leads the walk nowhere out of its tree', async () => {
  mkdirSync(join(upper, 'a'));
  for (const name of ['inner', 'shadow']) writeFileSync(join(upper, 'a', name), 'of the container');
  mkdirSync(join(root, 'outside'));
  writeFileSync(join(root, 'outside/shadow'), 'secret of the host');
  const swapWhen = async (isTime: (text: string) => boolean): Promise<string> => {
    let text = '';
    await packLayer(
      overlay(),
      (chunk) => {
        const before = text;
        text += chunk.toString('latin1');
        if (isTime(before) || !isTime(text)) return undefined;
        renameSync(join(upper, 'a'), join(root, 'moved'));
        symlinkSync(join(root, 'outside'), join(upper, 'a'));
        return undefined;
      },
      never,
    );
    rmSync(join(upper, 'a'));
    renameSync(join(root, 'moved'), join(upper, 'a'));
    return text;
  };
  // Before the folder is listed, and between that and the reading of its second file.
  for (const moment of ['a/\0', 'a/inner\0'])
    expect(await swapWhen((text) => text.includes(moment))).not.toContain('secret of the host');
});
