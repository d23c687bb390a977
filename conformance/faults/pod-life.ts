/** What happens to a pod in the sweep: it runs a container and a command in it, and is stopped and removed. */
import type { FaultBed } from './bed.ts';
import { insist, PodWalk } from './pod-walk.ts';

const obedient = ['sh', '-c', 'trap "exit 3" TERM; : >/ready; while :; do usleep 20000; done'];
const deaf = ['sh', '-c', 'trap "" TERM; : >/ready; while :; do usleep 20000; done'];

let counter = 0;

export interface PodKind {
  readonly sharesPid: boolean;
  readonly hasPort: boolean;
  readonly ignoresTerm: boolean;
  readonly handler?: string;
  /** Whether an image is made of the container. */
  readonly isCommitted?: boolean;
  /** Called when the container has run its command, before anything is stopped. */
  readonly beforeRemoval?: () => void;
}

/** Leaves its containers to the pod's stop and removal. */
export async function livePodAbandoned(bed: FaultBed, failures: string[]): Promise<void> {
  counter += 1;
  const walk = new PodWalk(bed, { name: `pod${counter}`, tries: 1, failures });
  await walk.run();
  await walk.start(obedient);
  await walk.stop();
  await walk.remove();
}

/** A pod runs a container and a command in it, and is stopped and removed. */
export async function livePod(
  bed: FaultBed,
  kind: PodKind,
  failures: string[],
  tries: number,
): Promise<void> {
  const { sharesPid, hasPort, ignoresTerm, handler = '' } = kind;
  counter += 1;
  const hostPort = hasPort ? 30000 + counter : 0;
  const walk = new PodWalk(bed, { name: `pod${counter}`, sharesPid, hostPort, handler, tries, failures });
  await walk.run();
  await walk.start(ignoresTerm ? deaf : obedient);
  await walk.exec('ready');
  await walk.change();
  if (kind.isCommitted === true) await commitAndRemove(bed, walk.containerId, failures, tries);
  kind.beforeRemoval?.();
  // With a short deadline no grace period fits into it.
  await walk.stopContainer(!ignoresTerm ? 10n : bed.deadlineMs === undefined ? 1n : 0n);
  const { state, exitCode } = await walk.status();
  // A container of a pod that shares its PID namespace is killed with its sandbox's init; alone it says its own code.
  const expected = ignoresTerm ? 137 : 3;
  if (state !== 2 || exitCode !== expected)
    throw new Error(`the container is in state ${state} with exit code ${exitCode}, not ${expected}`);
  await walk.removeContainer();
  await walk.stop();
  await walk.remove();
}

async function commitAndRemove(
  bed: FaultBed,
  container_id: string,
  failures: string[],
  tries: number,
): Promise<void> {
  const reference = 'docker.io/library/committed:latest';
  await insist(
    bed,
    failures,
    'CommitContainer',
    () => bed.admin('CommitContainer', { container_id, reference, pause: true }),
    tries,
  );
  await insist(
    bed,
    failures,
    'RemoveImage',
    async () => {
      // What a try made before it failed has lost its name to the next one.
      const { images } = await bed.call('ListImages', {});
      for (const { id, repo_tags } of images)
        if (repo_tags.length === 0 || repo_tags.includes(reference))
          await bed.call('RemoveImage', { image: { image: id } });
    },
    tries,
  );
}

export async function expectNoPod(bed: FaultBed): Promise<void> {
  const { containers } = await bed.call('ListContainers', {});
  const { items } = await bed.call('ListPodSandbox', {});
  // The witness is the one that stays.
  if (containers.length !== 1 || items.length !== 1)
    throw new Error(`${containers.length - 1} containers and ${items.length - 1} sandboxes are still listed`);
  await bed.expectClean();
}
