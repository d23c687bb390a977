/** What a container changed, taken off one overlay and put on another over the same layers: the same tree must come of it. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { unmount } from '#host/mount.ts';
import { findXattr, setXattr } from '#host/xattr.ts';
import { listChanges, removeInRoot, takeWhiteouts } from './rootfs-diff.ts';
import { extractTar, writeTar } from './tar.ts';

const never = new AbortController().signal;
let dir: string;
const mounted: string[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'berth-diff-'));
});

afterEach(() => {
  for (const path of mounted.splice(0)) unmount(path);
  rmSync(dir, { recursive: true });
});

function overlay(name: string): { upperDir: string; merged: string; mount: () => void } {
  const [upperDir, work, merged] = ['upper', 'work', 'merged'].map((part) => join(dir, name, part)) as [
    string,
    string,
    string,
  ];
  for (const path of [upperDir, work, merged]) mkdirSync(path, { recursive: true });
  const mount = () => {
    const layers = `lowerdir=${join(dir, 'top')}:${join(dir, 'base')},upperdir=${upperDir},workdir=${work}`;
    execFileSync('mount', ['-t', 'overlay', '-o', layers, 'overlay', merged]);
    mounted.push(merged);
  };
  return { upperDir, merged, mount };
}

/** Names, kinds, modes, owners, times of files, targets of links, sizes: all but the times of folders. */
function describeTree(root: string): string[] {
  const format = '%P %y %m %U:%G %l %s\\n';
  const list = execFileSync('find', ['.', '!', '-type', 'd', '-printf', format], {
    cwd: root,
    encoding: 'utf8',
  });
  const folders = execFileSync('find', ['.', '-type', 'd', '-printf', '%P %m %U:%G\\n'], {
    cwd: root,
    encoding: 'utf8',
  });
  return [...list.split('\n'), ...folders.split('\n')].toSorted();
}

const shell = (folder: string, script: string): string =>
  execFileSync('sh', ['-ec', script], { cwd: folder, encoding: 'utf8' });

test('changes, removals, links, modes and attributes go over', async () => {
  for (const name of ['top', 'base']) mkdirSync(join(dir, name));
  shell(
    join(dir, 'base'),
    'mkdir -p etc/app keep gone/deep swap; echo a > etc/app/conf; echo b > keep/file; echo c > gone/deep/file; echo d > swap/inner; echo e > remove-me',
  );
  shell(join(dir, 'top'), 'mkdir -p etc/app swap; echo second > etc/app/extra; echo x > swap/other');
  const first = overlay('first');
  first.mount();
  shell(
    first.merged,
    `echo changed > etc/app/conf; rm remove-me; rm -r gone; rm -r swap; mkdir swap; echo new > swap/new; ln -s /etc/passwd link
     echo linked > one; ln one two; chmod 4755 keep/file; chown 5:6 keep/file; mkdir -m 1777 spool; mkfifo pipe; echo mine > mount-target
     printf x > "$(printf 'name\\nof two lines')"; printf y > -rf`,
  );
  setXattr(join(first.merged, 'one'), 'user.colour', Buffer.from('green'));
  const snapshot = { upperDir: first.upperDir, lowerDirs: [join(dir, 'top'), join(dir, 'base')] };
  const { changed, deleted } = await listChanges(snapshot, new Set(['/mount-target']));
  expect(deleted.toSorted()).toEqual(['/gone', '/remove-me', '/swap/inner', '/swap/other']);
  const archive = join(dir, 'diff.tar');
  await writeTar(archive, first.upperDir, changed, true, never);

  const second = overlay('second');
  await extractTar(archive, second.upperDir, never);
  second.mount();
  removeInRoot(second.merged, deleted);
  rmSync(join(first.merged, 'mount-target'));
  expect(describeTree(second.merged)).toEqual(describeTree(first.merged));
  expect(shell(second.merged, 'cat etc/app/conf swap/new two; stat -c %h one')).toBe(
    'changed\nnew\nlinked\n2\n',
  );
  expect(String(findXattr(join(second.merged, 'two'), 'user.colour'))).toBe('green');
});

test("another runtime's whiteouts are taken for removals", async () => {
  const upper = join(dir, 'upper');
  mkdirSync(join(upper, 'etc'), { recursive: true });
  for (const name of ['.wh.gone', 'etc/.wh.conf', 'etc/kept']) writeFileSync(join(upper, name), '');
  expect((await takeWhiteouts(upper)).toSorted()).toEqual(['/etc/conf', '/gone']);
  expect(execFileSync('find', ['.', '-type', 'f'], { cwd: upper, encoding: 'utf8' })).toBe('./etc/kept\n');
});

test('nothing outside of the root is removed', () => {
  const root = join(dir, 'root');
  mkdirSync(root);
  const outside = join(dir, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'file'), '');
  symlinkSync(outside, join(root, 'link'));
  symlinkSync('../outside', join(root, 'climb'));
  removeInRoot(root, ['/link/file', '/climb/file', '../outside/file', '/', '/no/such/file']);
  expect(existsSync(join(outside, 'file'))).toBe(true);
  expect(existsSync(root)).toBe(true);
  removeInRoot(root, ['/link']);
  expect(existsSync(join(root, 'link'))).toBe(false);
  expect(existsSync(outside)).toBe(true);
});
