/** Many containers, ten to a pod, for loads that ask about them. The pods share the host's network: no load here is about CNI. */
import { setTimeout as sleep } from 'node:timers/promises';
import { forEachParallel, type Subject } from './subject.ts';

const containersPerPod = 10;
/** ContainerState of the CRI. */
const exited = 2;
const exitTimeoutMs = 60_000;

export interface Population {
  readonly podIds: readonly string[];
  readonly containerIds: readonly string[];
}

/** Makes them; those that are not to run have all exited when this resolves. */
export async function populate(
  subject: Subject,
  wanted: { readonly containers: number; readonly isRunning: boolean },
): Promise<Population> {
  const podIds: string[] = [];
  const containerIds: string[] = [];
  const shares = Array.from({ length: Math.ceil(wanted.containers / containersPerPod) }, (_, index) =>
    Math.min(containersPerPod, wanted.containers - index * containersPerPod),
  );
  await forEachParallel(shares, 4, async (share) => {
    const pod = await subject.runPod({ onHost: true });
    podIds.push(pod.id);
    for (let index = 0; index < share; index += 1) {
      const container = await subject.runContainer(pod, `c${index}`, { endsAtOnce: !wanted.isRunning });
      containerIds.push(container.id);
    }
  });
  if (!wanted.isRunning) await awaitExits(subject, wanted.containers);
  return { podIds, containerIds };
}

async function awaitExits(subject: Subject, count: number): Promise<void> {
  const deadlineMs = performance.now() + exitTimeoutMs;
  const filter = { state: { state: exited } };
  for (;;) {
    const { containers } = await subject.daemon.client.call('ListContainers', { filter });
    if (containers.length >= count) return;
    if (performance.now() > deadlineMs)
      throw new Error(`${containers.length} of ${count} containers have exited after ${exitTimeoutMs} ms`);
    await sleep(50);
  }
}
