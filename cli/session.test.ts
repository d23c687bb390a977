import { expect, test } from 'vitest';
import { DetachKeys, parseDetachKeys, readOutcome, startStatus } from './session.ts';

test('detach keys are found across pieces, and what only begins like them is passed on', () => {
  const keys = new DetachKeys(parseDetachKeys('ctrl-p,ctrl-q'));
  expect(keys.take(Buffer.from('ls\u0010')).toString()).toBe('ls');
  expect(keys.take(Buffer.from('x')).toString()).toBe('\u0010x');
  expect(keys.take(Buffer.from('\u0010\u0010')).toString()).toBe('\u0010');
  expect(keys.isComplete).toBe(false);
  expect(keys.take(Buffer.from('\u0011rest')).toString()).toBe('');
  expect(keys.isComplete).toBe(true);
  expect(parseDetachKeys('a,ctrl-[').toString('hex')).toBe('611b');
  expect(parseDetachKeys('')).toHaveLength(0);
  expect(() => parseDetachKeys('ctrl-')).toThrow('is no detach key');
});

test('the error channel tells how a command ended', () => {
  const failed = {
    status: 'Failure',
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: '7' }] },
  };
  const end = (status: unknown) => readOutcome(Buffer.from(JSON.stringify(status)));
  expect(end({ status: 'Success' })).toEqual({ kind: 'exited', exitCode: 0 });
  expect(end(failed)).toEqual({ kind: 'exited', exitCode: 7 });
  expect(end({ status: 'Failure', message: 'Internal error occurred: no', reason: 'InternalError' })).toEqual(
    { kind: 'failed', message: 'no' },
  );
  expect(readOutcome(Buffer.alloc(0))).toEqual({ kind: 'lost' });
});

test("the words of crun and runc become docker's statuses", () => {
  expect(startStatus('executable file `x` not found in $PATH: No such file or directory')).toBe(127);
  expect(startStatus('exec: "x": executable file not found in $PATH')).toBe(127);
  expect(startStatus('open executable: Permission denied')).toBe(126);
  expect(startStatus('something else')).toBe(125);
});
