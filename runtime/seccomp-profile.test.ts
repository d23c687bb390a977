import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { readSeccompProfile } from './seccomp-profile.ts';

const directory = mkdtempSync(join(tmpdir(), 'seccomp-'));
afterAll(() => rmSync(directory, { recursive: true }));
const read = (localhostRef: string) =>
  readSeccompProfile({ seccomp: { type: 'localhost', localhostRef }, isPrivileged: false }, undefined);

it('reads the file that is named', () => {
  writeFileSync(join(directory, 'good.json'), '{}');
  expect(read(join(directory, 'good.json'))).toBe('{}');
});

it.each([
  ['a name without folder', () => 'good.json', /absolute/],
  ['a name that climbs', () => `${directory}/../${directory.slice(5)}/good.json`, /without "\.\."/],
  ['nothing', () => join(directory, 'absent'), /ENOENT/],
  ['a folder', () => directory, /no regular file/],
  ['a device without end', () => '/dev/zero', /no regular file/],
  [
    'a FIFO, at which reading would wait',
    () => {
      execFileSync('mkfifo', [join(directory, 'fifo')]);
      return join(directory, 'fifo');
    },
    /no regular file/,
  ],
  [
    'a file of a terabyte',
    () => {
      writeFileSync(join(directory, 'huge'), '');
      truncateSync(join(directory, 'huge'), 2 ** 40);
      return join(directory, 'huge');
    },
    /larger than/,
  ],
])('refuses %s', (_what, make, words) => {
  expect(() => read(make())).toThrow(
    expect.objectContaining({ kind: 'InvalidArgument', message: expect.stringMatching(words) }),
  );
});
