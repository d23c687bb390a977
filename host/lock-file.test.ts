import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findLockHolder, lockFile } from './lock-file.ts';

test('a lock is exclusive, names its holder and can be had again', () => {
  const dir = mkdtempSync(join(tmpdir(), 'berth-lock-'));
  try {
    const path = join(dir, 'lock');
    expect(findLockHolder(path)).toBeUndefined();
    const release = lockFile(path);
    expect(findLockHolder(path)).toBe(process.pid);
    expect(() => lockFile(path)).toThrow(`process ${process.pid} holds it`);
    release();
    expect(findLockHolder(path)).toBeUndefined();
    lockFile(path)();
  } finally {
    rmSync(dir, { recursive: true });
  }
});
