import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { spreadDirectoriesOf } from './directory-hint.ts';

test.each(['/dev/shm', tmpdir()])(
  'directories in %s are made as ever, and spread where the file system can',
  (parent) => {
    const directory = mkdtempSync(join(parent, 'berth-hint-'));
    try {
      const isTaken = spreadDirectoriesOf(directory);
      expect(spreadDirectoriesOf(directory)).toBe(isTaken);
      // What the tool of ext4 shows of it: T, the top of directory hierarchies.
      if (isTaken) expect(execFileSync('lsattr', ['-d', directory], { encoding: 'utf8' })).toMatch(/^\S*T/);
      mkdirSync(join(directory, 'one', 'two'), { recursive: true });
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
);

test('nothing is said of a directory that is not there', () => {
  expect(spreadDirectoriesOf('/no/such/directory')).toBe(false);
});
