import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { OutOfMemoryLog } from './out-of-memory-log.ts';

const id = '0e3ddce026973688746929207c140937d318b8d40995cfea29ee8b78b1620af4';
let folder: string;
let file: string;
let log: OutOfMemoryLog;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kmsg-'));
  file = join(folder, 'kmsg');
  writeFileSync(file, '6,1,1000,-;Linux version 6.12\n SUBSYSTEM=x\n');
  log = new OutOfMemoryLog(file);
});
afterEach(() => {
  log.close();
  rmSync(folder, { recursive: true });
});

it('knows a killed process by its cgroup, also when the record came after an earlier question', () => {
  const child = { pid: 500, startTime: 900 };
  expect(log.hasKilled(id, child)).toBe(false);
  appendFileSync(
    file,
    `6,2,9000000,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=container,mems_allowed=0,oom_memcg=/system.slice/berth-${id}.scope/container,task_memcg=/system.slice/berth-${id}.scope/container,task=tail,pid=501,uid=0\n`,
  );
  expect(log.hasKilled(id, child)).toBe(true);
  expect(log.hasKilled('f'.repeat(64), child)).toBe(false);
});

it('knows it by its pid where the kernel says no cgroup, but no later process of the same pid', () => {
  appendFileSync(
    file,
    '3,3,9000000,-;Memory cgroup out of memory: Killed process 501 (tail) total-vm:1kB, anon-rss:1kB\n',
  );
  expect(log.hasKilled(id, { pid: 501, startTime: 899 })).toBe(true);
  expect(log.hasKilled(id, { pid: 501, startTime: 901 })).toBe(false);
  expect(log.hasKilled(id, { pid: 502, startTime: 899 })).toBe(false);
  expect(log.hasKilled(id, undefined)).toBe(false);
});

it('knows nothing where there is no log', () => {
  expect(new OutOfMemoryLog(join(folder, 'none')).hasKilled(id, undefined)).toBe(false);
});
