import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { buildContainerSpec } from '../spec/container-spec.ts';
import { sampleInput } from '../spec/testing/sample-input.ts';
import { CdiRegistry } from './registry.ts';

let root: string;
let warnings: string[];
let registry: CdiRegistry;
const built = buildContainerSpec(sampleInput());

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'berth-cdi-'));
  warnings = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => warnings.push(JSON.parse(line).msg) });
  registry = new CdiRegistry({ folders: [join(root, 'etc'), join(root, 'run')], log });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, devices: Record<string, object>, more: object = {}): void {
  mkdirSync(join(root, path, '..'), { recursive: true });
  const list = Object.entries(devices).map(([name, containerEdits]) => ({ name, containerEdits }));
  const data = { cdiVersion: '1.1.0', kind: 'v.com/net', devices: list, ...more };
  writeFileSync(join(root, path), JSON.stringify(data));
}

const env = (value: string) => ({ env: [value] });
async function added(...names: string[]): Promise<string[]> {
  const { process } = await registry.apply(built, names, true);
  return process.env.filter((entry) => !built.process.env.includes(entry));
}

test('folders may be absent, appear and change; what counts is what they hold at the moment', async () => {
  await expect(added('v.com/net=a')).rejects.toMatchObject({ kind: 'NotFound' });
  write('run/x.json', { a: env('A=1') });
  expect(await added('v.com/net=a')).toEqual(['A=1']);
  write('run/x.json', { a: env('A=2') });
  expect(await added('v.com/net=a')).toEqual(['A=2']);
  rmSync(join(root, 'run'), { recursive: true });
  await expect(added('v.com/net=a')).rejects.toMatchObject({ kind: 'NotFound' });
  expect(warnings).toEqual([]);
});

test('the edits of a file are made once, before those of its first device', async () => {
  write('etc/x.json', { a: env('A=1'), b: env('B=1') }, { containerEdits: { env: ['A=file', 'F=1'] } });
  write('etc/y.yaml', { c: env('C=1') });
  expect(await added('v.com/net=c', 'v.com/net=a', 'v.com/net=b')).toEqual(['C=1', 'A=1', 'F=1', 'B=1']);
});

test('a later folder wins; twice within one folder is a conflict that a later folder can end', async () => {
  write('etc/x.json', { a: env('A=etc') });
  write('etc/y.json', { a: env('A=etc2') });
  const conflict = added('v.com/net=a');
  await expect(conflict).rejects.toMatchObject({ kind: 'FailedPrecondition' });
  await expect(conflict).rejects.toThrow(`defined by ${root}/etc/x.json and ${root}/etc/y.json`);
  write('run/x.json', { a: env('A=run') });
  expect(await added('v.com/net=a')).toEqual(['A=run']);
});

test('all that cannot be resolved is named, with the files that were passed over; each is logged once', async () => {
  write('etc/good.json', {
    a: env('A=1'),
    n: { netDevices: [{ hostInterfaceName: 'e', name: 'e' }], intelRdt: {} },
  });
  write('etc/bad.json', { z: env('Z=1') }, { kind: 'nonsense' });
  for (let turn = 0; turn < 2; turn += 1) {
    const attempt = added('v.com/net=a', 'v.com/net=z', 'v.com/net=n', 'w.com/x=y');
    await expect(attempt).rejects.toMatchObject({ kind: 'NotFound' });
    await expect(attempt).rejects.toThrow('unresolvable CDI devices v.com/net=z, v.com/net=n, w.com/x=y: ');
    await expect(attempt).rejects.toThrow('with netDevices, intelRdt, not supported here');
    await expect(attempt).rejects.toThrow('bad.json: kind "nonsense" is not vendor/class');
  }
  expect(warnings).toEqual([
    `CDI specification passed over: ${root}/etc/bad.json: kind "nonsense" is not vendor/class`,
  ]);
});

test('while the folders are watched, a broken file is reported when it appears, once, and no more when it is mended', async () => {
  registry.watch();
  try {
    write('run/x.json', { a: env('A=1') });
    mkdirSync(join(root, 'etc'), { recursive: true });
    writeFileSync(join(root, 'etc/broken.json'), '{');
    await expect
      .poll(() => registry.problems)
      .toEqual([expect.stringContaining(`${root}/etc/broken.json: `)]);
    writeFileSync(join(root, 'etc/other.json'), '{"cdiVersion":');
    await expect.poll(() => registry.problems.length).toBe(2);
    expect(await added('v.com/net=a')).toEqual(['A=1']);
    const named = (name: string) => warnings.filter((line) => line.includes(name));
    expect([named('broken.json').length, named('other.json').length]).toEqual([1, 1]);
    rmSync(join(root, 'etc'), { recursive: true });
    await expect.poll(() => registry.problems).toEqual([]);
    write('etc/again.json', { a: env('A=2') }, { kind: 'none' });
    await expect.poll(() => registry.problems.length).toBe(1);
  } finally {
    registry.unwatch();
  }
});
