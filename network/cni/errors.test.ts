import { describe, expect, test } from 'vitest';
import { isAlreadyGone, isMissingPlugin, makeMissingPluginError, makePluginError } from './errors.ts';

function failed(stdout: unknown, stderr = '') {
  const text = typeof stdout === 'string' ? stdout : JSON.stringify(stdout);
  return makePluginError({
    plugin: 'bridge',
    command: 'ADD',
    status: { type: 'exited', code: 1 },
    stdout: text,
    stderr,
  });
}

describe('a plugin that fails', () => {
  test.each([
    [1, 'FailedPrecondition'],
    [7, 'FailedPrecondition'],
    [3, 'NotFound'],
    [11, 'Unavailable'],
    [50, 'Unavailable'],
    [51, 'Unavailable'],
    [5, 'Internal'],
    [100, 'Internal'],
    [999, 'Internal'],
  ])('with code %i is %s', (code, kind) => {
    const error = failed({ cniVersion: '1.0.0', code, msg: 'the reason', details: 'more' });
    expect(error.kind).toBe(kind);
    expect(error.message).toContain('CNI plugin bridge ADD');
    expect(error.message).toContain('the reason: more');
    expect(error.details).toMatchObject({ plugin: 'bridge', command: 'ADD', code });
  });

  test('without JSON is quoted from standard error, else from standard output, else by its exit', () => {
    expect(failed('noise', 'panic: boom').message).toBe('CNI plugin bridge ADD: exit status 1: panic: boom');
    expect(failed('noise').message).toBe('CNI plugin bridge ADD: exit status 1: noise');
    expect(failed('').message).toBe('CNI plugin bridge ADD: exit status 1: no output');
  });

  test('names the package when its program is missing', () => {
    const error = makeMissingPluginError('bridge', ['/opt/cni/bin', '/usr/lib/cni']);
    expect(error.kind).toBe('FailedPrecondition');
    expect(error.message).toContain('/opt/cni/bin:/usr/lib/cni');
    expect(error.message).toContain('containernetworking-plugins');
    expect(isMissingPlugin(error)).toBe(true);
  });
});

describe('a DEL that finds nothing', () => {
  test.each([
    ['unknown container', { code: 3, msg: 'no such container' }, false, true],
    [
      'no namespace file, namespace gone',
      { code: 999, msg: 'open "": no such file or directory' },
      true,
      true,
    ],
    [
      'no namespace file, namespace there',
      { code: 999, msg: 'open "": no such file or directory' },
      false,
      false,
    ],
    ['link not found, namespace gone', { code: 999, msg: 'Link not found' }, true, true],
    [
      'a program the plugin needs is missing',
      { code: 999, msg: 'exec: "iptables": executable file not found in $PATH' },
      true,
      false,
    ],
    ['another failure', { code: 5, msg: 'disk full' }, true, false],
  ])('%s', (_name, report, isNamespaceGone, expected) => {
    expect(isAlreadyGone(failed(report), isNamespaceGone)).toBe(expected);
  });

  test('a missing plugin is not "gone"', () => {
    expect(isAlreadyGone(makeMissingPluginError('bridge', ['/opt/cni/bin']), true)).toBe(false);
  });
});
