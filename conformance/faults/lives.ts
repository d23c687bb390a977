/** The lives that faults happen in: of a pod, and of an image. Each ends with nothing left of it, or throws what is wrong. */
import { existsSync, writeFileSync } from 'node:fs';
import { type Finding, formatFinding } from '#base/finding.ts';
import type { StepName } from '#base/step.ts';
import { type FaultBed, otherImageName } from './bed.ts';
import { type Case, meetsDeadline, planOf } from './cases.ts';
import { hangDeadlineMs, watchHang } from './hang.ts';
import { insist, PodWalk } from './pod-walk.ts';

const obedient = ['sh', '-c', 'trap "exit 3" TERM; : >/ready; while :; do usleep 20000; done'];
const deaf = ['sh', '-c', 'trap "" TERM; : >/ready; while :; do usleep 20000; done'];

/** Tries of a client whose calls meet their deadline while a step hangs. */
const patientTries = 100;

export function describeFindings(findings: readonly Finding[]): string {
  return findings.map(formatFinding).join('; ');
}

let counter = 0;

/** Lives one case, as the kubelet would. Throws what is wrong; `failures` grows by the calls that failed on the way. */
export async function liveThrough(bed: FaultBed, one: Case, failures: string[]): Promise<void> {
  const life = one.step.includes('-image/') ? liveImage : livePod;
  const { fault } = one;
  writeFileSync(bed.faultFile, planOf(one));
  if (fault.action !== 'hang') {
    await life(bed, one.step, failures, 6);
  } else {
    bed.deadlineMs = hangDeadlineMs;
    let isOver = false;
    const watched = watchHang(bed, {
      failures,
      end: fault.end,
      meetsDeadline: meetsDeadline(one),
      isOver: () => isOver,
    });
    try {
      const lived = life(bed, one.step, failures, patientTries).finally(() => {
        isOver = true;
      });
      // Both to their end, whichever fails: the next case must find nobody at work.
      const results = await Promise.allSettled([watched, lived]);
      for (const result of results) if (result.status === 'rejected') throw result.reason;
    } finally {
      bed.deadlineMs = undefined;
    }
  }
  if (existsSync(bed.faultFile)) throw new Error('the step was never reached');
  await (one.step.includes('-image/') ? expectNoImage : expectNoPod)(bed);
}

/** An image is pulled, used by nobody, removed. */
async function liveImage(bed: FaultBed, _step: StepName, failures: string[], tries: number): Promise<void> {
  const image = { image: otherImageName };
  await insist(
    bed,
    failures,
    'PullImage',
    async () => {
      await bed.call('PullImage', { image });
      const { image: pulled } = await bed.call('ImageStatus', { image });
      if (!pulled) throw new Error('the pulled image is not there');
    },
    tries,
  );
  await insist(bed, failures, 'RemoveImage', () => bed.call('RemoveImage', { image }), tries);
}

async function expectNoImage(bed: FaultBed): Promise<void> {
  const { images } = await bed.call('ListImages', {});
  if (images.length !== 1) throw new Error(`${images.length} images are listed, not one`);
  // What a failed pull keeps for its retry is for the next start to remove.
  await bed.stop();
  await bed.start();
  // Answers when what was removed is off the disk.
  await bed.call('ImageFsInfo', {});
  const findings = await bed.audit(true);
  if (findings.length > 0) throw new Error(describeFindings(findings));
}

/** A pod runs a container and a command in it, and is stopped and removed. */
async function livePod(bed: FaultBed, step: StepName, failures: string[], tries: number): Promise<void> {
  counter += 1;
  const hostPort = step.includes('-sandbox/') ? 30000 + counter : 0;
  const walk = new PodWalk(bed, {
    name: `pod${counter}`,
    sharesPid: needsInit(step),
    hostPort,
    tries,
    failures,
  });
  const ignoresTerm = step === 'stop-container/kill';
  await walk.run();
  await walk.start(ignoresTerm ? deaf : obedient);
  await walk.exec('ready');
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

function needsInit(step: StepName): boolean {
  return /init|stop-sandbox|remove-sandbox/.test(step);
}

async function expectNoPod(bed: FaultBed): Promise<void> {
  const { containers } = await bed.call('ListContainers', {});
  const { items } = await bed.call('ListPodSandbox', {});
  // The witness is the one that stays.
  if (containers.length !== 1 || items.length !== 1)
    throw new Error(`${containers.length - 1} containers and ${items.length - 1} sandboxes are still listed`);
  const findings = await bed.audit();
  if (findings.length > 0) throw new Error(describeFindings(findings));
}
