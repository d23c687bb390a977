import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { observeSteps, type StepName } from '#base/step.ts';
import type { ContainerRecord } from '../container/record.ts';
import { NamedVolumes } from './named-volumes.ts';

let folder: string;
let records: ContainerRecord[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-volumes-'));
  records = [];
});
afterEach(() => {
  observeSteps(undefined);
  rmSync(folder, { recursive: true, force: true });
});

/** The step fails at its next pass, before or after its effect. */
function failOnce(wanted: StepName, phase: 'before' | 'after'): void {
  const at = (now: typeof phase) => (name: StepName) => {
    if (name !== wanted || now !== phase) return;
    observeSteps(undefined);
    throw new Error('told to fail');
  };
  observeSteps({ before: at('before'), after: at('after') });
}

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

test('a volume that could not be made leaves nothing, unless its name is known', async () => {
  for (const phase of ['before', 'after'] as const)
    for (const step of ['make-volume/write', 'make-volume/place'] as const)
      for (const name of ['', 'known']) {
        failOnce(step, phase);
        await expect(open().ensure(name, {}), `${step} ${phase}`).rejects.toThrow('told to fail');
        const isMade = name !== '' && step === 'make-volume/place' && phase === 'after';
        expect(readdirSync(folder), `${step} ${phase}`).toEqual(isMade ? [name] : []);
      }
});

test('a removal that broke off is gone on with by the next one, also beside a new volume', async () => {
  const volumes = open();
  for (const step of ['remove-volume/take-away', 'remove-volume/delete'] as const) {
    const { path } = await volumes.ensure('data', {});
    writeFileSync(join(path, 'file'), 'x');
    failOnce(step, step === 'remove-volume/delete' ? 'before' : 'after');
    await expect(volumes.remove('data')).rejects.toThrow('told to fail');
    expect(volumes.list()).toEqual([]);
    await volumes.ensure('data-1', {});
    await volumes.remove('data');
    expect(readdirSync(folder)).toEqual(['data-1']);
    await volumes.remove('data-1');
    await expect(volumes.remove('data')).rejects.toMatchObject({ kind: 'NotFound' });
  }
});

test('who asks for one volume at the same time gets the same one', async () => {
  const volumes = open();
  const made = await Promise.all([1, 2, 3].map((life) => volumes.ensure('data', { life: String(life) })));
  expect(made.map(({ labels }) => labels.life)).toEqual(['1', '1', '1']);
  expect(readdirSync(folder)).toEqual(['data']);
});
