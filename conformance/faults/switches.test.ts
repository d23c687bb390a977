/** The switches of the fault tests: what is planned happens once, at the pass that it is planned for. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { projectRoot } from '../cache.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'switches-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const script = `
import { step } from '#base/step.ts';
for (let pass = 1; pass <= 4; pass += 1) {
  const outcome = await Promise.race([
    step('run-sandbox/record', () => 'done').catch(() => 'failed'),
    new Promise((resolve) => setTimeout(resolve, 200, 'hangs')),
  ]);
  console.log(outcome);
}
process.exit();
`;

function outcomes(env: Record<string, string>): { words: string[]; signal: string | null } {
  const preload = join(projectRoot, 'conformance/faults/preload.ts');
  const { stdout, signal } = spawnSync(
    process.execPath,
    ['--import', preload, '--input-type=module-typescript', '-e', script],
    { cwd: projectRoot, encoding: 'utf8', env: { PATH: process.env.PATH, ...env } },
  );
  return { words: stdout.split('\n').filter((line) => line !== ''), signal };
}

test.each([
  ['error', ['done', 'done', 'failed', 'done'], null],
  ['hang', ['done', 'done', 'hangs', 'done'], null],
  ['kill', ['done', 'done'], 'SIGKILL'],
])('%s at the third pass of a step', (action, words, signal) => {
  const plan = `run-sandbox/record:before=${action}@3`;
  expect(outcomes({ BERTH_FAULT: plan })).toEqual({ words, signal });
  const file = join(dir, 'fault');
  writeFileSync(file, plan);
  expect(outcomes({ BERTH_FAULT_FILE: file })).toEqual({ words, signal });
  expect(existsSync(file)).toBe(false);
});

test('a program fails at the second run that fits', () => {
  const programs = join(dir, 'programs');
  mkdirSync(programs);
  const crun = join(programs, 'crun');
  copyFileSync(join(projectRoot, 'conformance/faults/failing-program.sh'), crun);
  chmodSync(crun, 0o755);
  symlinkSync('/bin/echo', `${crun}.real`);
  writeFileSync(join(dir, 'program-fault'), 'crun start error 2\n');
  const run = (operation: string) => {
    try {
      return execFileSync(crun, [operation], { encoding: 'utf8', stdio: 'pipe' }).trim();
    } catch {
      return 'failed';
    }
  };
  expect(['start', 'delete', 'start', 'start'].map(run)).toEqual(['start', 'delete', 'failed', 'start']);
});
