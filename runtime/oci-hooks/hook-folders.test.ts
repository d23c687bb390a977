import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildContainerSpec } from '../spec/container-spec.ts';
import { sampleInput } from '../spec/testing/sample-input.ts';
import { parseHookDefinition } from './definition.ts';
import { OciHookFolders } from './hook-folders.ts';
import { posixExpression } from './posix-expression.ts';

const fileOf = (when: object, more: object = {}) =>
  JSON.stringify({ version: '1.0.0', hook: { path: '/bin/x' }, when, stages: ['prestart'], ...more });
const subject = {
  annotations: { 'com.example/team': 'physics' },
  command: '/sbin/init',
  hasBindMounts: true,
};

describe('conditions: all that are set must hold', () => {
  test.each<[object, boolean]>([
    [{ always: true }, true],
    [{ always: false }, false],
    [{ hasBindMounts: true }, true],
    [{ hasBindMounts: false }, false],
    [{ commands: ['^/bin/', '/init$'] }, true],
    [{ commands: ['^init'] }, false],
    [{ commands: [] }, false],
    [{ annotations: { '^com\\.example/team$': '^phys' } }, true],
    [{ annotations: { team: 'phys', other: '.*' } }, false],
    [{ always: true, commands: ['^never$'] }, false],
  ])('%j: %s', (when, expected) => {
    expect(parseHookDefinition(fileOf(when)).matches(subject)).toBe(expected);
  });
});

test.each<[string, string]>([
  [fileOf({}), 'when has no condition'],
  [fileOf({ always: 'yes' }), 'neither true nor false'],
  [fileOf({ commands: ['('] }), 'Invalid regular expression'],
  [fileOf({ always: true }, { version: '0.1.0' }), 'version "0.1.0" is not supported'],
  [fileOf({ always: true }, { stages: ['later'] }), 'no stage of OCI'],
  [fileOf({ always: true }, { hook: { path: 'x' } }), 'not an absolute path'],
  [fileOf({ always: true }, { hook: { path: '/x', timeout: 0 } }), 'hook.timeout'],
])('%s is refused', (text, expected) => {
  expect(() => parseHookDefinition(text)).toThrow(expected);
});

test('POSIX expressions: classes, and no harm from a long text', () => {
  expect(posixExpression('^[[:alpha:]_]+[[:digit:]]$')('ab_7')).toBe(true);
  expect(posixExpression('^[[:punct:]]+$')('!-]^~`')).toBe(true);
  expect(posixExpression('^[[:punct:]]$')('a')).toBe(false);
  expect(posixExpression('.*dynamics$')('fluid-dynamics')).toBe(true);
  expect(posixExpression('.*dynamics$')('x'.repeat(1 << 20))).toBe(false);
});

describe('folders', () => {
  let root: string;
  let warnings: string[];
  let hooks: OciHookFolders;
  const built = buildContainerSpec(sampleInput());

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'berth-hooks-'));
    mkdirSync(join(root, 'etc'));
    warnings = [];
    const log = pino({ level: 'warn' }, { write: (line: string) => warnings.push(JSON.parse(line).msg) });
    hooks = new OciHookFolders({ folders: [join(root, 'usr'), join(root, 'etc')], log });
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const write = (path: string, hookPath: string, when: object = { always: true }) =>
    writeFileSync(
      join(root, path),
      fileOf(when, { hook: { path: hookPath }, stages: ['prestart', 'poststop'] }),
    );
  const paths = async (annotations = {}) => {
    const { hooks: made } = await hooks.apply(built, { mounts: [] }, { annotations });
    expect(made?.poststop).toEqual(made?.prestart);
    return made?.prestart?.map(({ path }) => path);
  };

  test('files go by lower-case name, a later folder hides an earlier one, a bad file is logged once', async () => {
    expect(await paths()).toBeUndefined();
    mkdirSync(join(root, 'usr'));
    write('usr/02.json', '/usr/two');
    write('usr/10-A.json', '/usr/ten');
    write('etc/02.json', '/etc/two');
    write('etc/01-b.json', '/etc/one');
    write('etc/10-b.json', '/etc/last');
    writeFileSync(join(root, 'etc/03.json'), '{');
    writeFileSync(join(root, 'etc/readme.txt'), 'no hook');
    for (let turn = 0; turn < 2; turn += 1)
      expect(await paths()).toEqual(['/etc/one', '/etc/two', '/usr/ten', '/etc/last']);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`${root}/etc/03.json`);
  });

  test('annotations of the pod are looked at, and those that say what the container is', async () => {
    write('etc/pod.json', '/pod', { annotations: { '^team$': '^physics$' } });
    write('etc/own.json', '/own', { annotations: { '^io.kubernetes.cri.container-name$': '^web$' } });
    expect(await paths({ team: 'physics' })).toEqual(['/own', '/pod']);
    expect(await paths()).toEqual(['/own']);
  });
});
