/** The container of an operator's pod stands still and goes on, and what is said of it is what it does. */
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { OperatedPod } from './operator-life.ts';

const lookMs = 5;
const settleMs = 1000;

export async function pauseAndGoOn(pod: OperatedPod): Promise<void> {
  await change(pod, 'PauseContainer', true);
  await change(pod, 'UnpauseContainer', false);
  const moved = 'was=$(cat /beat); while test "$(cat /beat)" = "$was"; do usleep 10000; done; echo goes on';
  await pod.walk.hear(moved, 'goes on\n');
}

async function change(
  pod: OperatedPod,
  rpc: 'PauseContainer' | 'UnpauseContainer',
  isPaused: boolean,
): Promise<void> {
  const { bed, walk, insist } = pod;
  let lie = '';
  await insist(rpc, async () => {
    const before = await look(pod);
    const { said, is } = before.said === before.is ? before : await settled(pod, !isPaused);
    // While a call hangs it is in between.
    if (said !== is && bed.deadlineMs === undefined) lie = tell(said, is);
    await bed.admin(rpc, { container_id: walk.containerId });
  });
  await insist('ListContainerDetails', async () => {
    const { said, is } = await settled(pod, isPaused);
    if (said !== isPaused || is !== isPaused) throw new Error(`after ${rpc} ${tell(said, is)}`);
  });
  if (lie !== '') throw new Error(`on the way of ${rpc} ${lie}`);
}

/** The kernel needs a moment to stop processes that are in the midst of something, and a start to take up a container. */
async function settled(pod: OperatedPod, isPaused: boolean): ReturnType<typeof look> {
  const end = performance.now() + settleMs;
  let found = await look(pod);
  while ((found.is !== isPaused || found.said !== isPaused) && performance.now() < end) {
    await delay(lookMs);
    found = await look(pod);
  }
  return found;
}

function tell(said: boolean, is: boolean): string {
  return `a container that ${is ? 'stands still' : 'runs'} was said to ${said ? 'stand still' : 'run'}`;
}

/** What the daemon says of the container, and what the kernel does. */
async function look({ bed, walk }: OperatedPod): Promise<{ said: boolean; is: boolean }> {
  const [details] = await bed.admin('ListContainerDetails', {});
  const { containers } = details as { containers: { id: string; paused: boolean }[] };
  const [listed] = await bed.admin('ListProcesses', { container_id: walk.containerId });
  const { processes } = listed as { processes: { pid: number }[] };
  const found = containers.find(({ id }) => id === walk.containerId);
  if (!found || processes[0] === undefined) throw new Error('the container is not there');
  return { said: found.paused, is: isFrozen(processes[0].pid) };
}

/** Whether all processes of the group of `pid` stand still (cgroups(7), freezer; kernel cgroup-v2.rst, cgroup.events). */
function isFrozen(pid: number): boolean {
  const groups = readFileSync(`/proc/${pid}/cgroup`, 'latin1');
  const freezer = /^\d+:freezer:(.*)$/m.exec(groups)?.[1];
  if (freezer !== undefined)
    return readFileSync(`/sys/fs/cgroup/freezer${freezer}/freezer.state`, 'latin1').trim() === 'FROZEN';
  const unified = /^0::(.*)$/m.exec(groups)?.[1] ?? '';
  const events = `/sys/fs/cgroup${unified}/cgroup.events`;
  return existsSync(events) && /^frozen 1$/m.test(readFileSync(events, 'latin1'));
}
