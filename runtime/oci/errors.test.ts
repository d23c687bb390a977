import { expect, test } from 'vitest';
import { kindOfFailure, withAdvice } from './errors.ts';

test('a full quota of keys is told from a full disk, and what to do about it', () => {
  for (const words of [
    'create keyring `abc`: Disk quota exceeded',
    'unable to join session keyring: unable to create session key: disk quota exceeded',
  ]) {
    expect(kindOfFailure(words)).toBe('ResourceExhausted');
    expect(withAdvice(words)).toContain('raise kernel.keys.root_maxkeys');
  }
  const disk = 'write `config.json`: Disk quota exceeded';
  expect(kindOfFailure(disk)).toBe('ResourceExhausted');
  expect(withAdvice(disk)).toContain('remove what is not needed on the disks');
  expect(withAdvice(disk)).not.toContain('keys');
});

test('a program that the image lacks is the mistake of the request', () => {
  expect(kindOfFailure('executable file `x` not found in $PATH: No such file or directory')).toBe(
    'InvalidArgument',
  );
  expect(kindOfFailure('exec: "x": permission denied')).toBe('InvalidArgument');
});
