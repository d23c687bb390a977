import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Image } from '#images/contract.ts';
import type { ContainerConfig } from '../container/config.ts';
import {
  checkImages,
  readConfigDump,
  readDeletedFiles,
  readPodOptions,
  readSpecDump,
} from './archive-files.ts';
import { RestoreSources, type RestoreSourcesOptions } from './restore-sources.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-checkpoint-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

const process = { args: ['sh'], env: ['A=b'], cwd: '/', user: { uid: 0, gid: 0 } };

function write(name: string, content: unknown): void {
  writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
}

function makeCheckpoint(): void {
  mkdirSync(join(folder, 'checkpoint'));
  write('checkpoint/inventory.img', 'x');
  write('config.dump', { name: 'c', rootfsImageName: 'docker.io/library/a:1', runtime: 'crun' });
  write('spec.dump', { process, mounts: [] });
}

describe('a checkpoint from anybody', () => {
  test('that is whole is read', () => {
    makeCheckpoint();
    checkImages(folder);
    expect(readConfigDump(folder)).toEqual({
      name: 'c',
      runtime: 'crun',
      images: ['docker.io/library/a:1'],
    });
    expect(readSpecDump(folder).process.args).toEqual(['sh']);
    expect(readDeletedFiles(folder)).toEqual([]);
  });

  test.for<[string, () => void, () => unknown]>([
    ['no images of CRIU', () => rmSync(join(folder, 'checkpoint/inventory.img')), () => checkImages(folder)],
    [
      'an image of CRIU that is a link',
      () => symlinkSync('/etc/shadow', join(folder, 'checkpoint/core-1.img')),
      () => checkImages(folder),
    ],
    [
      'a folder of images that is a link',
      () => {
        rmSync(join(folder, 'checkpoint'), { recursive: true });
        symlinkSync('/tmp', join(folder, 'checkpoint'));
      },
      () => checkImages(folder),
    ],
    [
      'a config that is a link out of it',
      () => {
        rmSync(join(folder, 'config.dump'));
        symlinkSync('/etc/passwd', join(folder, 'config.dump'));
      },
      () => readConfigDump(folder),
    ],
    ['a config that is no JSON', () => write('config.dump', '{'), () => readConfigDump(folder)],
    ['a config that is a list', () => write('config.dump', '[]'), () => readConfigDump(folder)],
    ['a config without an image', () => write('config.dump', {}), () => readConfigDump(folder)],
    ['a spec without a process', () => write('spec.dump', {}), () => readSpecDump(folder)],
    [
      'a spec whose program is no list',
      () => write('spec.dump', { process: { ...process, args: 'sh' } }),
      () => readSpecDump(folder),
    ],
    [
      'deleted files above the root',
      () => write('deleted.files', ['/a', '/../../etc/passwd']),
      () => readDeletedFiles(folder),
    ],
    ['deleted files that are numbers', () => write('deleted.files', [1]), () => readDeletedFiles(folder)],
    ['a pod without containers', () => write('pod.options', { version: 1 }), () => readPodOptions(folder)],
    [
      'a pod of a later form',
      () => write('pod.options', { version: 2, containers: {} }),
      () => readPodOptions(folder),
    ],
  ])('%s is refused', ([, damage, read]) => {
    makeCheckpoint();
    damage();
    expect(read).toThrow(expect.objectContaining({ kind: 'InvalidArgument' }));
  });
});

describe('what a request names as its image', () => {
  const config = { image: { image: 'point' } } as ContainerConfig;
  const plain = { config: { entrypoint: [], command: [] }, chainId: 'sha256:1' } as unknown as Image;

  function sources(image: Image | undefined, mayRestoreImages: boolean): RestoreSources {
    const snapshotter = { view: async () => ({ lowerDirs: [folder] }), remove: async () => {} };
    return new RestoreSources({
      images: { find: () => image },
      snapshotter: snapshotter as unknown as RestoreSourcesOptions['snapshotter'],
      paths: undefined as never,
      support: undefined as never,
      mayRestoreImages,
    });
  }

  test('is a checkpoint only if the operator allows that of images', async () => {
    makeCheckpoint();
    expect(await sources(plain, true).find(config)).toEqual({ type: 'image', layer: folder, name: 'point' });
    await expect(sources(plain, false).find(config)).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message: expect.stringContaining('checkpoint.restore_images'),
    });
  });

  test('is an image of the usual kind if it has a program, or no files of a checkpoint', async () => {
    expect(await sources(plain, false).find(config)).toBeUndefined();
    makeCheckpoint();
    const runnable = { ...plain, config: { entrypoint: [], command: ['sh'] } } as unknown as Image;
    expect(await sources(runnable, false).find(config)).toBeUndefined();
    expect(await sources(undefined, false).find(config)).toBeUndefined();
  });
});
