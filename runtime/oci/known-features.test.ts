import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, it, vi } from 'vitest';
import type { HandlerFeatures } from './features.ts';
import { KnownFeatures } from './known-features.ts';

const dir = mkdtempSync(join(tmpdir(), 'known-features-'));
const book = join(dir, 'features.json');
const program = join(dir, 'runtime');
const features: HandlerFeatures = {
  version: 'crun version 1.8.1',
  hasRecursiveReadonly: true,
  hasIdmappedMounts: false,
  hasUserNamespaces: false,
  hasCheckpoint: true,
};

afterAll(() => rmSync(dir, { recursive: true, force: true }));

beforeEach(() => {
  rmSync(book, { force: true });
  writeFileSync(program, '\x7fELF and more', 'latin1');
});

/** A start of the daemon: how often the program was asked, and what came of it. */
async function start(version = '1.0.0'): Promise<{ asked: number; found: HandlerFeatures }> {
  const ask = vi.fn(async () => features);
  const known = new KnownFeatures(book, version);
  const found = await known.of(program, ask);
  known.save();
  return { asked: ask.mock.calls.length, found };
}

it('asks a program once', async () => {
  expect(await start()).toEqual({ asked: 1, found: features });
  expect(await start()).toEqual({ asked: 0, found: features });
});

it('asks again when the program was replaced, or Berth was', async () => {
  await start();
  writeFileSync(program, '\x7fELF and else', 'latin1');
  expect((await start()).asked).toBe(1);
  expect((await start('1.0.1')).asked).toBe(1);
  expect((await start('1.0.1')).asked).toBe(0);
});

it('asks a script each time, for what it runs may change', async () => {
  writeFileSync(program, '#!/bin/sh\nexec crun "$@"\n');
  await start();
  expect((await start()).asked).toBe(1);
});

it.each(['{"by":"1.0.0","progr', '[]', 'null', '{"by":"1.0.0","programs":{}}'])(
  'asks when what was kept is %s',
  async (text) => {
    writeFileSync(book, text);
    expect(await start()).toEqual({ asked: 1, found: features });
  },
);

it('does not take an answer of another shape', async () => {
  await start();
  const { programs } = JSON.parse(readFileSync(book, 'utf8'));
  programs[program].features = { version: 'crun' };
  writeFileSync(book, JSON.stringify({ by: '1.0.0', programs }));
  expect((await start()).asked).toBe(1);
});

it('keeps no failure', async () => {
  const known = new KnownFeatures(book, '1.0.0');
  await expect(known.of(program, () => Promise.reject(new Error('refused')))).rejects.toThrow('refused');
  known.save();
  expect((await start()).asked).toBe(1);
});
