import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from './launch.ts';
import { SealedProgram } from './sealed-program.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'sealed-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

async function outputOf(program: SealedProgram, ...args: string[]): Promise<string> {
  const result = await run({ path: program.path, executable: program.executable(), args });
  return result.stdout.toString().trim();
}

describe('a sealed program', () => {
  it('runs like its file, without being it', async () => {
    const program = new SealedProgram('/bin/echo');
    expect(program.executable()).not.toBe('/bin/echo');
    expect(await outputOf(program, 'one', 'two')).toBe('one two');
  });

  it('cannot be written to', () => {
    const executable = new SealedProgram('/bin/echo').executable();
    expect(() => writeSync(openSync(executable, 'r+'), 'x', 0)).toThrow(/EPERM|ETXTBSY/);
  });

  it('follows an upgrade of its file, and keeps few descriptors for that', async () => {
    const path = join(dir, 'program');
    copyFileSync('/bin/true', path);
    const program = new SealedProgram(path);
    expect(await outputOf(program, 'new')).toBe('');
    const before = readdirSync('/proc/self/fd').length;
    for (const version of ['/bin/true', '/bin/false', '/bin/true', '/bin/echo']) {
      rmSync(path);
      copyFileSync(version, path);
      program.executable();
    }
    expect(await outputOf(program, 'new')).toBe('new');
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before + 1);
  });

  it('is the file itself for a script, and for what is not there', async () => {
    const path = join(dir, 'script');
    writeFileSync(path, '#!/bin/sh\necho script "$@"\n');
    chmodSync(path, 0o755);
    const program = new SealedProgram(path);
    expect(program.executable()).toBe(path);
    expect(await outputOf(program, 'runs')).toBe('script runs');
    expect(new SealedProgram(join(dir, 'absent')).executable()).toBe(join(dir, 'absent'));
  });
});
