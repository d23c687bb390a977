import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ContainerRecord } from '../container/record.ts';
import { NamedVolumes } from './named-volumes.ts';

let folder: string;
let records: ContainerRecord[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-volumes-'));
  records = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = () =>
  new NamedVolumes({ folder, containers: { list: () => records }, measureFolder: async () => 7 });
const using = (hostPath: string) =>
  ({ id: 'c'.repeat(64), config: { mounts: [{ hostPath }] } }) as unknown as ContainerRecord;

test('a volume is made once, and stays while a container of any state mounts it or a part of it', async () => {
  const volumes = open();
  const { path } = await volumes.ensure('data', { a: 'b' });
  writeFileSync(join(path, 'file'), 'x');
  expect(await volumes.ensure('data', { other: 'x' })).toMatchObject({ path, labels: { a: 'b' } });
  records = [using(join(path, 'part'))];
  expect(volumes.list()).toMatchObject([{ name: 'data', containers: ['c'.repeat(64)] }]);
  await expect(volumes.remove('data')).rejects.toMatchObject({ kind: 'FailedPrecondition' });
  records = [using(`${path}-other`)];
  await volumes.remove('data');
  expect(readdirSync(folder)).toEqual([]);
  await expect(volumes.remove('data')).rejects.toMatchObject({ kind: 'NotFound' });
});

test('names cannot lead out of the folder, nor be what is half made', async () => {
  for (const name of ['..', '../x', '.making-1', 'a/b', ' ', 'x'.repeat(129)]) {
    await expect(open().ensure(name, {}), name).rejects.toThrow('is no name for a volume');
    expect(() => open().get(name), name).toThrow('there is no volume');
  }
  expect(readdirSync(folder)).toEqual([]);
});

test('a start removes what was cut short, and gives a volume back that was being filled', async () => {
  await open().ensure('kept', {});
  rmSync(join(folder, 'kept/data'), { recursive: true });
  mkdirSync(join(folder, '.removing-1/data'), { recursive: true });
  mkdirSync(join(folder, '.making-2'));
  await open().recover();
  expect(readdirSync(folder)).toEqual(['kept']);
  expect(readdirSync(join(folder, 'kept'))).toContain('data');
});
