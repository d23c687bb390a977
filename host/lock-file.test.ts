import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lockFile } from './lock-file.ts';

test('a lock is exclusive, names its holder and can be had again', () => {
  const dir = mkdtempSync(join(tmpdir(), 'berth-lock-'));
  try {
    const path = join(dir, 'lock');
    const release = lockFile(path);
    expect(() => lockFile(path)).toThrow(`process ${process.pid} holds it`);
    release();
    lockFile(path)();
  } finally {
    rmSync(dir, { recursive: true });
  }
});
