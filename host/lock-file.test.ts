import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findLockHolder, lockFile, SharedLock } from './lock-file.ts';

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

test('a shared lock is held by one at a time, and a process that keeps it is given up on', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'berth-lock-'));
  const path = join(dir, 'lock');
  const lock = new SharedLock(path, 0o600, 300);
  let holders = 0;
  const take = () =>
    lock.hold(() => {
      holders += 1;
      expect(holders).toBe(1);
      holders -= 1;
      return 'done';
    });
  const other = spawn('flock', ['-F', path, 'sh', '-c', 'echo held; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(other.stdout, 'data');
    await expect(take()).rejects.toMatchObject({ kind: 'Unavailable' });
    await expect(take()).rejects.toMatchObject({ kind: 'Unavailable' });
    const waiting = take();
    other.kill('SIGKILL');
    expect(await waiting).toBe('done');
    expect(await Promise.all([take(), take()])).toEqual(['done', 'done']);
    await expect(
      lock.hold(() => {
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await take()).toBe('done');
  } finally {
    other.kill('SIGKILL');
    rmSync(dir, { recursive: true });
  }
});
