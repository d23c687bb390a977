/**
 * What happens at a start of the daemon in the sweep: it was killed while a pod ran or was being made, and something may have
 * happened to the pod meanwhile. The fault is in the start itself, and what the next one finds then must come to the same end.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { StepName } from '#base/step.ts';
import { findProcess } from '#host/proc.ts';
import { watchProcess } from '#host/process-watch.ts';
import { type FaultBed, imageName } from './bed.ts';
import { insist, PodWalk } from './pod-walk.ts';

/** What happened while no daemon ran: nothing, or something that the next one has to find out. */
const damages = ['none', 'ended', 'init-ended', 'record-lost', 'stray-files'] as const;
export type Damage = (typeof damages)[number];

/** Steps that are reached by what happened while no daemon ran; those of every start by nothing. */
const damageBefore: Partial<Record<StepName, Damage>> = {
  'recover/record-lost': 'ended',
  'recover/lose-sandbox': 'init-ended',
  'recover/end-lost': 'record-lost',
  'recover/pay-debt': 'record-lost',
  'recover/remove-unknown': 'stray-files',
  'start/lock': 'none',
  'start/open': 'none',
  'start/listen': 'none',
  'start/reserve-log-room': 'none',
  'recover/begin': 'none',
  'recover/volumes': 'none',
  'recover/network': 'none',
};

/** undefined for a step that is not reached so. */
export function damageOf(step: StepName): Damage | undefined {
  return damageBefore[step];
}

/** Every kind of it, for who observes all. */
export const everyDamage: readonly Damage[] = damages;

/** Less than what a daemon reserves for the log of its records, and more than a start writes. */
const reservedBytes = 3 << 20;
const lookMs = 5;
const exited = 2;
const notReady = 1;

let counter = 0;

/** Whether a step is reached once in a boot of the node. */
export function isOfFirstStart(step: StepName): boolean {
  return step === 'recover/note-boot';
}

/** The first start of a daemon on this node, and the second. */
export async function liveFirstStart(bed: FaultBed, failures: string[], tries: number): Promise<void> {
  const image = { image: imageName };
  await insist(bed, failures, 'PullImage', () => bed.call('PullImage', { image }), tries);
  await bed.stop();
  await bed.start();
  const { image: pulled } = await bed.call('ImageStatus', { image });
  if (!pulled) throw new Error('the image is gone after a restart');
}

/** The daemon is asked to end and started again; it has done all that follows a start when this resolves. */
export async function liveCleanStart(bed: FaultBed): Promise<void> {
  await bed.stop();
  await bed.start();
  const log = join(bed.config.daemon.rootDir, 'state.db-wal');
  while ((statSync(log, { throwIfNoEntry: false })?.size ?? 0) < reservedBytes) await delay(lookMs);
}

/** A pod runs through a death of the daemon; `plan` plans a fault of the next start. */
export async function liveRestart(
  bed: FaultBed,
  { damage, plan }: { readonly damage: Damage; readonly plan: () => void },
  failures: string[],
  tries: number,
): Promise<void> {
  counter += 1;
  const hostPort = 29000 + counter;
  const walk = new PodWalk(bed, {
    name: `through${counter}`,
    sharesPid: damage === 'init-ended',
    hostPort,
    tries,
    failures,
  });
  await walk.run();
  await walk.start(['sh', '-c', 'trap "exit 3" TERM; : >/ready; while :; do usleep 20000; done']);
  await walk.exec('ready');
  await bed.kill();
  await doDamage(bed, walk, damage);
  plan();
  await insist(bed, failures, 'start', () => bed.start(), tries);
  await expectFound(walk, damage);
  if (damage === 'none' || damage === 'stray-files') await walk.exec();
  await walk.stopContainer(10n);
  await walk.removeContainer();
  await walk.stop();
  await walk.remove();
  // What no client waits for, and what failed, comes later.
  await bed.awaitFault();
  await bed.awaitClean();
}

async function doDamage(bed: FaultBed, walk: PodWalk, damage: Damage): Promise<void> {
  if (damage === 'ended')
    // The monitor first: it would tell how the container ended.
    for (const name of ['conmon', 'container'] as const) await endProcess(bed.pidOf(walk.containerId, name));
  if (damage === 'init-ended') await endProcess(bed.pidOf(walk.sandboxId, 'container'));
  if (damage === 'record-lost') bed.forgetRecord('sandboxes', walk.sandboxId);
  if (damage === 'stray-files') {
    const volume = join(bed.config.daemon.rootDir, 'volumes', randomBytes(32).toString('hex'), '0');
    mkdirSync(volume, { recursive: true });
    writeFileSync(join(volume, 'word'), 'nobody');
  }
}

async function endProcess(pid: number): Promise<void> {
  const identity = findProcess(pid);
  if (!identity) return;
  const watch = watchProcess(identity);
  process.kill(pid, 'SIGKILL');
  await watch.ended;
  watch.close();
}

/** What a client sees of it, some time after the start: what failed is tried again. */
async function expectFound(walk: PodWalk, damage: Damage): Promise<void> {
  const expected: Partial<Record<Damage, { state: number; exitCode: number; reason: string }>> = {
    ended: { state: exited, exitCode: 255, reason: 'Unknown' },
    'record-lost': { state: exited, exitCode: 137, reason: 'SandboxLost' },
  };
  const wanted = expected[damage];
  if (wanted) await walk.awaitStatus(wanted);
  if (damage === 'init-ended') await walk.awaitSandboxState(notReady);
}
