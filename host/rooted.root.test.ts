/** What an image may put where the daemon looks: links out, and files that are none. Root, for device nodes. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openInRoot, readFileInRoot, withDirectoryInRoot } from './rooted.ts';

const owner = { uid: 0, gid: 0 };
let base: string;
let root: string;
let outside: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'rooted-'));
  root = join(base, 'root');
  outside = join(base, 'outside');
  for (const directory of [join(root, 'etc'), outside]) mkdirSync(directory, { recursive: true });
  writeFileSync(join(outside, 'passwd'), 'secret of the host');
});
afterEach(() => rmSync(base, { recursive: true }));

const read = (path: string) => readFileInRoot(root, path, 1 << 16);

it('reads a file through links that stay, with the root as the top', () => {
  writeFileSync(join(root, 'etc/real'), 'of the image');
  symlinkSync('/etc/real', join(root, 'etc/absolute'));
  symlinkSync('../../../../etc/real', join(root, 'etc/upwards'));
  for (const name of ['real', 'absolute', 'upwards']) expect(read(`/etc/${name}`)).toBe('of the image');
});

it('reads nothing through links that lead out', () => {
  symlinkSync(join(outside, 'passwd'), join(root, 'etc/passwd'));
  symlinkSync('../../outside/passwd', join(root, 'etc/relative'));
  symlinkSync('/proc/self/root/etc/passwd', join(root, 'etc/magic'));
  symlinkSync(outside, join(root, 'folder'));
  symlinkSync('loop', join(root, 'etc/loop'));
  for (const path of [
    '/etc/passwd',
    '/etc/relative',
    '/etc/magic',
    '/folder/passwd',
    '/etc/loop',
    '/../outside/passwd',
  ])
    expect([path, read(path)]).toEqual([path, undefined]);
});

it('takes no FIFO, device, socket or folder for a file, nor one too large, and never waits', () => {
  execFileSync('mkfifo', [join(root, 'etc/fifo')]);
  execFileSync('mknod', [join(root, 'etc/zero'), 'c', '1', '5']);
  execFileSync('mknod', [join(root, 'etc/disk'), 'b', '8', '0']);
  writeFileSync(join(root, 'etc/huge'), '');
  truncateSync(join(root, 'etc/huge'), 2 ** 40);
  for (const name of ['fifo', 'zero', 'disk', 'huge', ''])
    expect([name, read(`/etc/${name}`)]).toEqual([name, undefined]);
});

it('makes folders inside only, and none in the place of a dangling link', () => {
  symlinkSync(outside, join(root, 'out'));
  symlinkSync('/../../../outside', join(root, 'up'));
  symlinkSync('nowhere', join(root, 'dangling'));
  for (const path of ['/out/made', '/up/made', '/dangling/made', '/proc/self/root/made', '../outside/made'])
    try {
      withDirectoryInRoot(root, path, owner, () => {});
    } catch (error) {
      expect(error).toMatchObject({ name: 'SystemCallError' });
    }
  expect(readdirSync(outside)).toEqual(['passwd']);
  expect(existsSync(join(base, 'made'))).toBe(false);
  withDirectoryInRoot(root, '/a/b/../c', owner, (handle) => writeFileSync(join(handle, 'f'), 'x'));
  expect(readdirSync(join(root, 'a'), { recursive: true })).toContain('c/f');
});

it('creates no file through a link', () => {
  symlinkSync(join(outside, 'new'), join(root, 'new'));
  expect(() => closeSync(openInRoot(root, '/new', constants.O_CREAT | constants.O_WRONLY, 0o600))).toThrow(
    /openat2/,
  );
  expect(readFileSync(join(outside, 'passwd'), 'utf8')).toBe('secret of the host');
  expect(existsSync(join(outside, 'new'))).toBe(false);
});
