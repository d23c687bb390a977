/** Folders of sub paths, in volumes that containers put links into. Root, as whoever plays pods is. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ContainerPlan, PodFacts, PodPlan } from './plan.ts';
import type { PlayFolders } from './request.ts';
import { makeSubPaths } from './state-folder.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sub-paths-'));
  for (const name of ['volume', 'outside']) mkdirSync(join(dir, name));
});
afterEach(() => rmSync(dir, { recursive: true }));

function make(subPath: string): void {
  const pod = { name: 'p', volumes: { data: { kind: 'host', path: join(dir, 'volume'), type: '' } } };
  const container = { fullName: 'p/c', mounts: [{ volume: 'data', subPath, expandsSubPath: false }] };
  makeSubPaths(
    pod as unknown as PodPlan,
    container as unknown as ContainerPlan,
    {} as PodFacts,
    {} as PlayFolders,
  );
}

it('makes what is missing, and takes folders and files that are there', () => {
  make('a/./b');
  make('a/b/c');
  writeFileSync(join(dir, 'volume/a/file'), '');
  make('a/file');
  make('');
  expect(readdirSync(join(dir, 'volume'), { recursive: true }).sort()).toEqual([
    'a',
    'a/b',
    'a/b/c',
    'a/file',
  ]);
});

it('follows no link, whether it leads out, stays or dangles', () => {
  symlinkSync(join(dir, 'outside'), join(dir, 'volume/out'));
  symlinkSync('.', join(dir, 'volume/here'));
  symlinkSync(join(dir, 'nowhere'), join(dir, 'volume/dangling'));
  for (const path of ['out', 'out/made', 'here/made', 'dangling', 'dangling/made'])
    expect(() => make(path)).toThrow(`the subPath ${path} of data is a link`);
  expect(readdirSync(join(dir, 'outside'))).toEqual([]);
  expect(existsSync(join(dir, 'nowhere'))).toBe(false);
});
