import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { findProcess } from './proc.ts';
import { watchProcess } from './process-watch.ts';

const countDescriptors = (): number => readdirSync('/proc/self/fd').length;

/** A shell that reads a line and ends as told; its own child, which this process cannot wait for, does the same. */
async function startGrandchild(script: string): Promise<{ pid: number; parent: ChildProcess }> {
  const parent = spawn('sh', ['-c', `exec 3<&0; sh -c '${script}' <&3 & echo $!; wait $!; read -r line`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [line] = (await once(parent.stdout!, 'data')) as [Buffer];
  return { pid: Number(line.toString()), parent };
}

test('the end of a process that is no child of ours is heard of, with its status where the kernel tells', async () => {
  const { pid, parent } = await startGrandchild('read -r line; exit 7');
  const before = countDescriptors();
  const watch = watchProcess(findProcess(pid)!);
  expect(countDescriptors()).toBe(before + 1);
  parent.stdin!.write('\n');
  const status = await watch.ended;
  // Linux before 6.15 loses the status if the parent was quicker than we.
  if (status !== undefined) expect(status).toEqual({ type: 'exited', code: 7 });
  parent.stdin!.end('\n');
  await once(parent, 'close');
  await expect.poll(countDescriptors).toBeLessThan(before);
});

test('a signal is told apart from an exit code', async () => {
  const { pid, parent } = await startGrandchild('read -r line');
  const watch = watchProcess(findProcess(pid)!);
  process.kill(pid, 'SIGKILL');
  const status = await watch.ended;
  if (status !== undefined) expect(status).toEqual({ type: 'signaled', signal: 9 });
  parent.stdin!.end('\n');
  await once(parent, 'close');
});

test('a process that is gone, or whose pid another has taken, has ended', async () => {
  const gone = spawn('true');
  const { pid } = gone;
  await once(gone, 'close');
  expect(await watchProcess({ pid: pid!, startTime: 1 }).ended).toBeUndefined();
  expect(await watchProcess({ pid: process.pid, startTime: 1 }).ended).toBeUndefined();
});
