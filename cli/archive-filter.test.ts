/** With the machine's own tar on both sides. FIFOs need no privileges; devices are headers made here of theirs. */
import { execFileSync } from 'node:child_process';
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ArchiveFilter } from './archive-filter.ts';

const long = `${'l'.repeat(120)}-\u00fc`;
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'filter-'));
  mkdirSync(join(dir, 'tree'));
  for (const name of ['plain', 'setuid', long]) writeFileSync(join(dir, 'tree', name), name.repeat(50));
  chmodSync(join(dir, 'tree/setuid'), 0o6755);
  execFileSync('mkfifo', [join(dir, 'tree/a-fifo'), join(dir, 'tree', `p${long}`)]);
  linkSync(join(dir, 'tree/a-fifo'), join(dir, 'tree/b-fifo'));
  linkSync(join(dir, 'tree/setuid'), join(dir, 'tree/setuid-too'));
});
afterEach(() => rmSync(dir, { recursive: true }));

function filtered(archive: Buffer, keepsAll: boolean, pieceBytes: number) {
  const skipped: string[] = [];
  const filter = new ArchiveFilter({ keepsAll, onSkipped: (what, name) => skipped.push(`${what} ${name}`) });
  const out: Buffer[] = [];
  for (let at = 0; at < archive.length; at += pieceBytes)
    out.push(filter.filter(archive.subarray(at, at + pieceBytes)));
  return { archive: Buffer.concat(out), skipped };
}

const pack = (format: string) =>
  execFileSync('tar', ['-c', '--sort=name', `--format=${format}`, '-C', dir, 'tree']);
const list = (archive: Buffer) =>
  execFileSync('tar', ['-tv', '--quoting-style=literal'], {
    input: archive,
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  })
    .toString()
    .trim()
    .split('\n')
    .map((line) => `${line.split(' ')[0]} ${line.split('tree/')[1] ?? ''}`);

it.each(['pax', 'gnu'])('leaves out FIFOs and set-id bits (%s)', (format) => {
  for (const pieceBytes of [100, 512, 1 << 20]) {
    const { archive, skipped } = filtered(pack(format), false, pieceBytes);
    expect(list(archive)).toEqual([
      'drwxr-xr-x ',
      `-rw-r--r-- ${long}`,
      '-rw-r--r-- plain',
      '-rwxr-xr-x setuid',
      'hrwxr-xr-x setuid-too link to ',
    ]);
    expect(skipped).toEqual(['a FIFO tree/a-fifo', 'a FIFO tree/b-fifo', `a FIFO tree/p${long}`]);
  }
});

it('changes nothing where all is kept, but for devices', () => {
  const whole = pack('pax');
  expect(filtered(whole, true, 1000).archive.equals(whole)).toBe(true);
  // The flag of the FIFO's header becomes that of a device.
  const at = whole.indexOf('tree/a-fifo');
  whole[at + 156] = '3'.charCodeAt(0);
  const { archive, skipped } = filtered(whole, true, 1000);
  expect(skipped).toEqual(['a character device tree/a-fifo']);
  expect(list(archive).join()).not.toContain('a-fifo');
});
