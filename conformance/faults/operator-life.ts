/**
 * What an operator does in the sweep with a pod of theirs, which no kubelet knows. Its container runs, is stopped and revived; the
 * parts of a life say what happens to it meanwhile.
 */

import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { CriError } from '../cri-client.ts';
import { type FaultBed, seed } from './bed.ts';
import { copyFromExited, copyThroughRunning } from './copy-life.ts';
import { resizeAttached, runAttached, runDetached, runInTerminal } from './exec-life.ts';
import { listChanges, lookAtExited, lookAtRunning } from './looking-life.ts';
import { pauseAndGoOn } from './pause-life.ts';
import { insist, PodWalk } from './pod-walk.ts';

const command = [
  'sh',
  '-c',
  `trap "exit 3" TERM; trap ": >/signalled" USR1; echo >>/lives; : >/ready
   i=0; while :; do i=$((i+1)); echo $i >/beat; test -t 1 && stty size; usleep 20000; done`,
];

/** A pod in the midst of its life, for one part of it. */
export interface OperatedPod {
  readonly bed: FaultBed;
  readonly walk: PodWalk;
  readonly name: string;
  /** Tries as often as the life wants. */
  readonly insist: <T>(what: string, work: () => Promise<T>) => Promise<T>;
  /** One call of the admin service, tried as often. */
  readonly ask: FaultBed['admin'];
}

type Part = (pod: OperatedPod) => Promise<void>;

/** Parts while the container runs, in the order in which all of them are lived. */
const running = {
  signal: sendSignal,
  pause: pauseAndGoOn,
  rename,
  copy: copyThroughRunning,
  detached: runDetached,
  attached: runAttached,
  terminal: runInTerminal,
  diff: listChanges,
  look: lookAtRunning,
  resize: resizeAttached,
} as const satisfies Record<string, Part>;

/** Parts after its end. */
const exited = { exited: copyFromExited, lookBack: lookAtExited, revive } as const satisfies Record<
  string,
  Part
>;

export type OperatorPart = keyof typeof running | keyof typeof exited | 'volume';

/** But for `resize`, which needs a container with a terminal. */
export const allOperatorParts: readonly OperatorPart[] = [
  'volume',
  ...(Object.keys(running) as (keyof typeof running)[]).filter((part) => part !== 'resize'),
  ...(Object.keys(exited) as (keyof typeof exited)[]),
];

export interface OperatedKind {
  /** Lived in this order. */
  readonly parts: readonly OperatorPart[];
  readonly handler?: string;
  /** Whether the container has one. */
  readonly hasTerminal?: boolean;
}

let counter = 0;

export async function liveOperated(
  bed: FaultBed,
  { parts, handler = '', hasTerminal = false }: OperatedKind,
  failures: string[],
  tries: number,
): Promise<void> {
  counter += 1;
  const name = `operated${counter}`;
  const insistHere: OperatedPod['insist'] = (what, work) => insist(bed, failures, what, work, tries);
  const ask: OperatedPod['ask'] = (rpc, ...requests) => insistHere(rpc, () => bed.admin(rpc, ...requests));
  const hasVolume = parts.includes('volume');
  const folder = hasVolume ? await makeVolume(ask, name) : '';
  const mounts = hasVolume ? { '/seed': folder } : {};
  const walk = new PodWalk(bed, { name, isManaged: true, hasTerminal, mounts, handler, tries, failures });
  const pod: OperatedPod = { bed, walk, name, insist: insistHere, ask };
  await walk.run();
  await walk.start(command);
  await walk.exec('ready');
  if (hasVolume) await changeVolume(walk, folder);
  for (const part of parts) if (part in running) await running[part as keyof typeof running](pod);
  await end(walk);
  for (const part of parts) if (part in exited) await exited[part as keyof typeof exited](pod);
  await walk.removeContainer();
  if (hasVolume) await expectChangedVolume(walk);
  await walk.stop();
  await walk.remove();
  if (hasVolume) await removeVolume(pod);
}

async function end(walk: PodWalk): Promise<void> {
  await walk.stopContainer(10n);
  const { state, exitCode } = await walk.status();
  if (state !== 2 || exitCode !== 3)
    throw new Error(`the container is in state ${state} with exit code ${exitCode}, not 3`);
}

async function sendSignal({ walk, ask }: OperatedPod): Promise<void> {
  await ask('KillContainer', { container_id: walk.containerId, signal: 'USR1' });
  await walk.hear('until test -e /signalled; do usleep 10000; done; echo heard', 'heard\n');
}

async function rename({ bed, walk, name, insist }: OperatedPod): Promise<void> {
  const wanted = `${name}-renamed`;
  const namesOf = async () => {
    const { items } = await bed.call('ListPodSandbox', { filter: { id: walk.sandboxId } });
    const { containers } = await bed.call('ListContainers', { filter: { id: walk.containerId } });
    return [items[0]?.metadata?.name, containers[0]?.labels['dev.berth/name']];
  };
  await insist('ListPodSandbox', async () => {
    const names = await namesOf();
    if (names[0] !== name) throw new Error(`the pod is called ${names[0]}`);
  });
  let torn = '';
  await insist('RenameContainer', async () => {
    const [pod, container] = await namesOf();
    // A container that was never renamed has no name of its own.
    if (container !== (pod === name ? undefined : pod))
      torn = `the pod is called ${pod}, its container ${container}`;
    await bed.admin('RenameContainer', { container_id: walk.containerId, name: wanted });
  });
  const names = await insist('ListPodSandbox', namesOf);
  if (torn !== '' || names.some((found) => found !== wanted))
    throw new Error(torn || `the names are ${names.join(' and ')}, not ${wanted}`);
}

/** The pod too was stopped: it gets another address, and the container keeps its id and what it wrote. */
async function revive({ walk, ask }: OperatedPod): Promise<void> {
  const { containerId } = walk;
  await walk.stop();
  await ask('ReviveContainer', { container_id: containerId });
  await walk.start(command);
  if (walk.containerId !== containerId) throw new Error('the revived container is another one');
  await walk.hear('until test $(wc -l </lives) = 2; do usleep 10000; done; echo twice', 'twice\n');
  await end(walk);
}

async function makeVolume(ask: OperatedPod['ask'], name: string): Promise<string> {
  const [reply] = await ask('CreateVolume', { name, labels: { life: name } });
  const [listed] = await ask('ListVolumes', {});
  const { volume } = reply as { volume?: { path: string } };
  const { volumes } = listed as { volumes: { name: string }[] };
  if (!volume || volumes.length !== 1 || volumes[0]?.name !== name)
    throw new Error(`the volumes are ${volumes.map((found) => found.name).join(', ')}, not ${name}`);
  return volume.path;
}

/** It has what the image has, whole; from now on it is the container's. */
async function changeVolume(walk: PodWalk, folder: string): Promise<void> {
  const expected = Object.entries(seed).map(([file, content]) => `${file}:${content}\n`);
  await walk.hear('cd /seed; for name in *; do echo $name:$(cat $name); done', expected.join(''));
  const beside = readdirSync(dirname(folder)).toSorted();
  if (beside.join() !== 'data,volume.json') throw new Error(`the volume consists of ${beside.join(', ')}`);
  await walk.hear('rm /seed/second; echo -n changed >/seed/first; echo done', 'done\n');
}

/** The next container does not get the image's content over it. */
async function expectChangedVolume(walk: PodWalk): Promise<void> {
  await walk.start(command, 'next');
  await walk.exec('ready');
  await walk.hear('cd /seed; for name in *; do echo $name:$(cat $name); done', 'first:changed\n');
  await walk.stopContainer(10n);
  await walk.removeContainer();
}

async function removeVolume({ bed, name, insist, ask }: OperatedPod): Promise<void> {
  let isTried = false;
  await insist('RemoveVolume', async () => {
    try {
      await bed.admin('RemoveVolume', { name });
    } catch (error) {
      const isGone = error instanceof CriError && error.code === 'NOT_FOUND';
      // A try that failed or died may have done it.
      if (!isGone || !isTried) throw error;
    } finally {
      isTried = true;
    }
  });
  const [listed] = await ask('ListVolumes', {});
  const { volumes } = listed as { volumes: unknown[] };
  if (volumes.length > 0) throw new Error('the removed volume is still listed');
}
