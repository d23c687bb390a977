import { expect, test } from 'vitest';
import { StopTask } from './stop-task.ts';

const never = new Promise<void>(() => {});
const noSignal = new AbortController().signal;

test('a container that does not die of its kill keeps nobody waiting for ever, and is killed on', async () => {
  let kills = 0;
  const actions = {
    terminate: async () => {},
    kill: () => {
      kills += 1;
    },
    exited: never,
    verify: () => {},
  };
  const task = new StopTask(actions, 50);
  await expect(task.request(0, noSignal)).rejects.toMatchObject({ kind: 'DeadlineExceeded' });
  await expect(task.request(10, noSignal)).rejects.toThrow('does not die');
  expect(kills).toBe(1);
  await expect.poll(() => kills, { timeout: 5000 }).toBe(2);
});
