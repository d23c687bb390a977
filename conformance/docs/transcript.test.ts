import { expect, test } from 'vitest';
import { findDifference, readSteps } from './transcript.ts';

test('commands, their output, what is typed, and what must fail', () => {
  const text = [
    'Text.',
    '```console',
    '$ one',
    'out',
    '$ cat <<END',
    '> body',
    '> END',
    '```',
    '```yaml',
    '$ not a command',
    '```',
    '```console fails',
    '$ run -it sh',
    '/ # hostname',
    'walk',
    '/ # exit',
    '```',
  ].join('\n');
  expect(readSteps(text)).toMatchObject([
    { line: 3, command: 'one', output: ['out'], typed: undefined, mustFail: false },
    { line: 5, command: 'cat <<END\nbody\nEND', output: [] },
    { line: 13, command: 'run -it sh', typed: ['hostname', 'exit'], mustFail: true },
  ]);
});

test('what differs from run to run may differ, and nothing else', () => {
  expect(findDifference(['web   10.88.0.2   12 s'], 'web 10.90.1.7   3.5 s\n')).toBeUndefined();
  expect(findDifference(['sha256:00aa', '0123456789ab  x'], 'sha256:ff11\nfedcba987654 x')).toBeUndefined();
  expect(findDifference(['a', '...', 'z'], 'a\nb\nc\nz\n')).toBeUndefined();
  expect(findDifference(['a', '...', 'z'], 'a\nz')).toBeUndefined();
  expect(findDifference(['up ... ago'], 'up 3 s ago')).toBeUndefined();
  expect(findDifference(['one'], 'two')).toBe('printed: two\n  written: one');
  expect(findDifference([], 'more')).toBe('more than expected: more');
  expect(findDifference(['one', 'two'], 'one')).toBe('not printed: two');
});
