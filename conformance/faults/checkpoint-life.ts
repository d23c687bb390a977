/** What happens to a checkpoint in the sweep: a container and a pod are saved while they count, and go on from what was saved. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkpointFiles, podFiles } from '#runtime/checkpoint/archive-files.ts';
import { runCommand } from '../command.ts';
import { pushCheckpointImage } from '../fixtures/checkpoint-image.ts';
import { checkpointHandler, type FaultBed } from './bed.ts';
import { insist, PodWalk } from './pod-walk.ts';

/** Counts in the memory of the shell alone; the file and the missing one are changes of the root file system. */
const counting = [
  'sh',
  '-c',
  'rm /one; echo word >/data/word; i=0; while :; do i=$((i+1)); echo $i >/count; usleep 5000; done',
];
/** Numbers that a container has counted before it is saved, so that one which began anew is told from it. */
const least = 20;
const imageOfCheckpoint = 'docker.io/library/point:latest';

export interface CheckpointKind {
  /** Of a container into an archive, or of its pod into a folder. */
  readonly subject: 'container' | 'pod';
  readonly handler?: string;
  /** Called when all is ready to be saved. */
  readonly beforeCheckpoint?: () => void;
}

export interface RestoreKind extends Pick<CheckpointKind, 'subject' | 'handler'> {
  /** A container goes on from an image that holds the archive. */
  readonly isFromImage?: boolean;
  /** Called when all is ready to go on. */
  readonly beforeRestore?: () => void;
}

let counter = 0;

function newWalk(bed: FaultBed, failures: string[], tries: number, handler = checkpointHandler): PodWalk {
  counter += 1;
  return new PodWalk(bed, { name: `saved${counter}`, handler, tries, failures });
}

/** A container counts, is saved, and counts on. Resolves with where the checkpoint is. */
export async function liveCheckpoint(
  bed: FaultBed,
  { subject, handler, beforeCheckpoint }: CheckpointKind,
  failures: string[],
  tries: number,
): Promise<string> {
  const walk = newWalk(bed, failures, tries, handler);
  await walk.run();
  await walk.start(counting);
  await walk.countsBeyond(least);
  await walk.say('echo shared >/dev/shm/word');
  beforeCheckpoint?.();
  const place =
    subject === 'container'
      ? await saveContainer(bed, walk, failures, tries)
      : await savePod(bed, walk, failures, tries);
  const counted = await walk.counted();
  await walk.countsBeyond(counted);
  await walk.stopContainer(0n);
  await walk.removeContainer();
  await walk.stop();
  await walk.remove();
  return place;
}

async function saveContainer(
  bed: FaultBed,
  walk: PodWalk,
  failures: string[],
  tries: number,
): Promise<string> {
  const location = join(bed.dir, `${walk.name}.tar`);
  const { containerId: container_id } = walk;
  await insist(
    bed,
    failures,
    'CheckpointContainer',
    () => bed.call('CheckpointContainer', { container_id, location }),
    tries,
  );
  const members = (await runCommand('tar', ['-tf', location])).split('\n');
  const wanted = [
    checkpointFiles.config,
    checkpointFiles.spec,
    checkpointFiles.rootfsDiff,
    `${checkpointFiles.images}/inventory.img`,
  ];
  const lacking = wanted.filter((name) => !members.includes(name));
  if (lacking.length > 0) throw new Error(`the archive lacks ${lacking.join(', ')}`);
  const partial = readdirSync(bed.dir).filter(
    (name) => name.startsWith(walk.name) && name.includes('partial'),
  );
  if (partial.length > 0) throw new Error(`${partial.join(', ')} is left beside the archive`);
  return location;
}

/** Each try has a folder of its own: after a failed one it must be empty, or a checkpoint whose answer was lost. */
async function savePod(bed: FaultBed, walk: PodWalk, failures: string[], tries: number): Promise<string> {
  const outputs: string[] = [];
  await insist(
    bed,
    failures,
    'CheckpointPod',
    () => {
      const output_path = join(bed.dir, `${walk.name}-${outputs.length}`);
      outputs.push(output_path);
      mkdirSync(output_path);
      return bed.call('CheckpointPod', {
        pod_sandbox_id: walk.sandboxId,
        output_path,
        container_ids: [walk.containerId],
      });
    },
    tries,
  );
  // The last call waited for the container until those before it had ended, whoever waited for them.
  for (const output of outputs) {
    const names = readdirSync(output);
    const isWhole = [podFiles.options, podFiles.pod, podFiles.shm, 'main'].every((name) =>
      names.includes(name),
    );
    if (names.length > 0 && !isWhole)
      throw new Error(`a failed checkpoint left ${names.join(', ')} in ${output}`);
  }
  return outputs.at(-1)!;
}

/** Checkpoints without a fault, to restore from; made once for each bed. */
const savedByBed = new WeakMap<FaultBed, Map<CheckpointKind['subject'], string>>();

async function savedOf(bed: FaultBed, subject: CheckpointKind['subject']): Promise<string> {
  const saved = savedByBed.get(bed) ?? new Map<CheckpointKind['subject'], string>();
  savedByBed.set(bed, saved);
  const place = saved.get(subject) ?? (await liveCheckpoint(bed, { subject }, [], 1));
  saved.set(subject, place);
  return place;
}

/** The fault of a restore is planned when there is something to restore. */
export async function prepareRestore(bed: FaultBed, { subject, isFromImage }: RestoreKind): Promise<void> {
  const place = await savedOf(bed, subject);
  if (isFromImage) await pushCheckpointImage(bed.registryHost, readFileSync(place), 'point');
}

/** A container goes on in a new pod from where it was saved. */
export async function liveRestore(
  bed: FaultBed,
  { subject, handler, isFromImage = false, beforeRestore }: RestoreKind,
  failures: string[],
  tries: number,
): Promise<void> {
  const place = await savedOf(bed, subject);
  const walk = newWalk(bed, failures, tries, handler);
  const image = { image: imageOfCheckpoint };
  if (isFromImage) await insist(bed, failures, 'PullImage', () => bed.call('PullImage', { image }), tries);
  if (subject === 'container') {
    await walk.run();
    beforeRestore?.();
    await walk.start(counting, 'main', isFromImage ? imageOfCheckpoint : place);
  } else {
    beforeRestore?.();
    await walk.restore(place, counting);
    await walk.start(counting);
  }
  const counted = await walk.counted();
  if (!(counted >= least)) throw new Error(`the restored container has counted to ${counted}: it began anew`);
  await walk.countsBeyond(counted);
  const seen = await walk.say('cat /data/word; test -e /one && echo "what it had removed is back"; true');
  if (seen !== 'word\n')
    throw new Error(`of what the container had changed there is ${JSON.stringify(seen)}`);
  if (subject === 'pod' && (await walk.say('cat /dev/shm/word')) !== 'shared\n')
    throw new Error("the pod's shared memory was not restored");
  await walk.stopContainer(0n);
  await walk.removeContainer();
  await walk.stop();
  await walk.remove();
  if (isFromImage)
    await insist(bed, failures, 'RemoveImage', () => bed.call('RemoveImage', { image }), tries);
  for (const folder of ['captures', 'restores']) {
    const path = join(bed.config.daemon.rootDir, folder);
    const names = existsSync(path) ? readdirSync(path) : [];
    if (names.length > 0) throw new Error(`${path} holds ${names.join(', ')}`);
  }
}
