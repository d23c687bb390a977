/** Host paths that a client names: found, made, refused, and on a file system that does not answer. Root, for the mount. */
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ensureHostPath } from './host-path.ts';
import { performMount, unmountAll } from './mount.ts';

const sh = '/bin/sh';
const { signal } = new AbortController();
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'host-path-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

test('links are followed, also to names that look like those of removed files', async () => {
  mkdirSync(join(dir, 'a (deleted)'));
  expect(await ensureHostPath(`${dir}/missing/..//a (deleted)/.`, sh, signal)).toBe(join(dir, 'a (deleted)'));
  writeFileSync(join(dir, 'a (deleted)', 'file\n'), '');
  symlinkSync('a (deleted)', join(dir, 'link'));
  expect(await ensureHostPath(join(dir, 'link'), sh, signal)).toBe(join(dir, 'a (deleted)'));
  expect(await ensureHostPath(join(dir, 'link', 'file\n'), sh, signal)).toBe(
    join(dir, 'a (deleted)', 'file\n'),
  );
});

test('what is missing is made as a folder, and what cannot be is refused with the reason', async () => {
  const path = join(dir, 'made', '-p', 'below');
  expect(await ensureHostPath(path, sh, signal)).toBe(path);
  expect(statSync(path).mode & 0o7777).toBe(0o755);
  writeFileSync(join(dir, 'file'), '');
  symlinkSync('loop', join(dir, 'loop'));
  symlinkSync('nowhere', join(dir, 'dangling'));
  for (const [name, words] of [
    ['file/below', 'Not a directory'],
    ['loop', ''],
    ['dangling', 'File exists'],
  ])
    await expect(ensureHostPath(join(dir, name!), sh, signal)).rejects.toMatchObject({
      kind: 'InvalidArgument',
      message: expect.stringContaining(words!),
    });
});

test.skipIf(!existsSync('/dev/fuse'))(
  'a file system that does not answer holds up neither this process nor whoever gives up',
  async () => {
    const dead = join(dir, 'dead');
    mkdirSync(dead);
    // Whoever mounts it has to answer all that is asked of it, and this one does not even read.
    const fd = openSync('/dev/fuse', 'r+');
    const data = `fd=${fd},rootmode=40000,user_id=0,group_id=0`;
    performMount({ type: 'fuse', source: 'dead', flags: 0, data }, dead);
    try {
      const cancel = new AbortController();
      const waiting = ensureHostPath(join(dead, 'volume'), sh, cancel.signal);
      const outcome = await Promise.race([
        waiting,
        new Promise((resolve) => setTimeout(resolve, 300, 'waits')),
      ]);
      expect(outcome).toBe('waits');
      cancel.abort();
      await expect(waiting).rejects.toMatchObject({ kind: 'Canceled' });
    } finally {
      unmountAll(dead);
      closeSync(fd);
    }
  },
);
