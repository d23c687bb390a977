/** Archives that are unpacked in a running container, which has mounts of its own. Root, for these. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { TarEntry } from '#images/unpack/tar-header.ts';
import { ArchiveWriter } from './archive-writer.ts';

let base: string;
let container: ChildProcess;
/** The folder as the container sees it. */
let root: string;

/** A process with mounts that this one has not: `mount` is a script with $D as the folder. */
async function startContainer(mount: string): Promise<void> {
  container = spawn(
    'unshare',
    ['--mount', '--propagation', 'private', 'sh', '-ec', `${mount}; echo; exec cat`],
    {
      env: { ...process.env, D: join(base, 'root') },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  await once(container.stdout!, 'data');
  root = `/proc/${container.pid}/root${join(base, 'root')}`;
}

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'archive-writer-'));
  mkdirSync(join(base, 'root/etc'), { recursive: true });
  writeFileSync(join(base, 'root/etc/hosts'), 'of the image');
  writeFileSync(join(base, 'outside'), 'mounted, and longer');
});
afterEach(async () => {
  const ended = once(container, 'exit');
  container.stdin!.end();
  await ended;
  rmSync(base, { recursive: true });
});

const entryOf = (own: Partial<TarEntry>): TarEntry => ({
  name: 'hosts',
  type: 'file',
  linkName: '',
  mode: 0o644,
  uid: 0,
  gid: 0,
  sizeBytes: 0,
  modified: { seconds: 0, nanoseconds: 0 },
  devMajor: 0,
  devMinor: 0,
  xattrs: new Map(),
  ...own,
});

function unpack(entry: Partial<TarEntry>, content = ''): void {
  const writer = new ArchiveWriter({ root, folder: '/etc', owner: { uid: 0, gid: 0 }, keepOwner: false });
  try {
    writer.begin(entryOf(entry));
    if (content !== '') writer.data(Buffer.from(content), 0);
    writer.end();
  } finally {
    writer.close();
  }
}

it('writes into a file that is mounted in the container, which stays mounted', async () => {
  await startContainer('mount --bind $D/../outside $D/etc/hosts');
  unpack({}, 'new');
  expect(readFileSync(`${root}/etc/hosts`, 'utf8')).toBe('new');
  expect(readFileSync(join(base, 'outside'), 'utf8')).toBe('new');
  expect(readFileSync(join(base, 'root/etc/hosts'), 'utf8')).toBe('of the image');
});

it('leaves a file alone that is mounted read-only', async () => {
  await startContainer('mount --bind $D/../outside $D/etc/hosts; mount -o remount,bind,ro $D/etc/hosts');
  expect(() => unpack({}, 'new')).toThrow(/EROFS/);
  expect(readFileSync(`${root}/etc/hosts`, 'utf8')).toBe('mounted, and longer');
});

it.each([
  ['a link', { type: 'symlink', linkName: '/etc/passwd' }],
  ['a file in the place of a mounted pipe', { type: 'file' }],
] as const)('refuses %s where something is mounted', async (_what, entry) => {
  const source =
    entry.type === 'file' ? 'mkfifo $D/../pipe; mount --bind $D/../pipe' : 'mount --bind $D/../outside';
  await startContainer(`${source} $D/etc/hosts`);
  expect(() => unpack(entry)).toThrow(/is a mount/);
  expect(readFileSync(`/proc/${container.pid}/mountinfo`, 'utf8')).toContain('/root/etc/hosts ');
});

it('keeps names that are not ASCII, and refuses those that are no text', async () => {
  await startContainer(':');
  const latin1 = (text: string): string => Buffer.from(text).toString('latin1');
  unpack({ name: latin1('grün') }, 'new');
  unpack({ name: latin1('lien'), type: 'symlink', linkName: latin1('größe') });
  expect(readdirSync(`${root}/etc`).toSorted()).toEqual(['grün', 'hosts', 'lien']);
  expect(() => unpack({ name: 'gr\xfcn' })).toThrow(/not UTF-8/);
});
