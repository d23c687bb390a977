import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CliRuntime } from '../oci/cli-runtime.ts';
import { CheckpointSupport } from './support.ts';

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'berth-criu-'));
});

afterEach(() => {
  rmSync(dir, { recursive: true });
});

function handler(hasCheckpoint: boolean): CliRuntime {
  const features = { hasRecursiveReadonly: true, hasIdmappedMounts: true, hasUserNamespaces: true };
  return new CliRuntime({
    name: 'crun',
    type: 'crun',
    path: '/bin/false',
    root: dir,
    cgroupDriver: 'cgroupfs',
    features: { ...features, version: 'crun version 1.0', hasCheckpoint },
  });
}

/** A criu that notes that it was asked and then runs `script`. */
function writeCriu(script: string): string {
  const path = join(dir, 'criu');
  rmSync(path, { force: true });
  writeFileSync(
    path,
    `#!/bin/sh\n[ "$1" = check ] || { echo "Version: 9.8"; exit; }\necho >> ${dir}/asked\n${script}\n`,
  );
  chmodSync(path, 0o755);
  return path;
}

const timesAsked = (): number => readFileSync(join(dir, 'asked'), 'utf8').length;

test('an OCI runtime built without CRIU cannot; nobody else is asked', async () => {
  const support = new CheckpointSupport({
    findCriu: () => {
      throw new Error('looked for');
    },
  });
  await expect(support.require(handler(false))).rejects.toMatchObject({
    kind: 'Unimplemented',
    message: expect.stringContaining('crun version 1.0'),
  });
});

test('a criu that is missing is to be installed, and found once it is', async () => {
  let criu = '';
  const support = new CheckpointSupport({ findCriu: () => criu });
  await expect(support.require(handler(true))).rejects.toMatchObject({
    kind: 'FailedPrecondition',
    message: expect.stringContaining('install the package criu'),
  });
  criu = writeCriu('echo Looks good.');
  expect(await support.require(handler(true))).toMatch(new RegExp(`^${dir}:/`));
});

test('a criu that does not work is asked once, quoted, and asked again when it is replaced', async () => {
  writeCriu('echo "Warn (x): y" >&2; echo "Error (criu/vdso.c:381): vdso: wrong" >&2; exit 1');
  const support = new CheckpointSupport({ findCriu: () => join(dir, 'criu') });
  for (let time = 0; time < 3; time += 1)
    await expect(support.require(handler(true))).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message: expect.stringMatching(
        /criu 9\.8 .* kernel: Error \(criu\/vdso\.c:381\): vdso: wrong; install a newer/,
      ),
    });
  expect(timesAsked()).toBe(1);
  writeCriu('echo Looks good.');
  for (let time = 0; time < 3; time += 1) await support.require(handler(true));
  expect(timesAsked()).toBe(2);
});
