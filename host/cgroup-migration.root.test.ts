import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import { expect, it } from 'vitest';
import { detectCgroupLayout, groupDirectory } from './cgroup.ts';
import { CgroupMigrations } from './cgroup-migration.ts';
import { launch } from './launch.ts';

const openFiles = () => readdirSync('/proc/self/fd').length;

it('changes nothing but the time that a move takes, and lets go of everything soon', async () => {
  const { version } = detectCgroupLayout();
  const group = groupDirectory(version, 'pids', `berth-migration-${process.pid}`);
  mkdirSync(group);
  const child = launch({ path: '/bin/sleep', args: ['60'] });
  try {
    const before = { group: readFileSync('/proc/self/cgroup', 'utf8'), files: openFiles() };
    const migrations = new CgroupMigrations(pino({ level: 'silent' }));
    for (let call = 0; call < 5; call += 1) migrations.expect();
    writeFileSync(join(group, 'cgroup.procs'), String(child.pid));
    expect(readFileSync(join(group, 'cgroup.procs'), 'utf8')).toBe(`${child.pid}\n`);
    await expect.poll(openFiles).toBe(before.files);
    expect(readFileSync('/proc/self/cgroup', 'utf8')).toBe(before.group);
    migrations.expect();
    await expect.poll(openFiles).toBe(before.files);
  } finally {
    child.kill(9);
    await child.exited;
    await expect.poll(() => readFileSync(join(group, 'cgroup.procs'), 'utf8')).toBe('');
    rmdirSync(group);
  }
});
