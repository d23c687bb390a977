/** The lives that faults happen in: of a pod, and of an image. Each ends with nothing left of it, or throws what is wrong. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { type Finding, formatFinding } from '#base/finding.ts';
import type { StepName } from '#base/step.ts';
import { type FaultBed, failingHandler, otherImageName } from './bed.ts';
import { meetsDeadline, type ProgramCase, planOf, type StepCase, wordsOf } from './cases.ts';
import { hangDeadlineMs, isDeadline, type Watched, watchHang } from './hang.ts';
import { insist, PodWalk } from './pod-walk.ts';

const obedient = ['sh', '-c', 'trap "exit 3" TERM; : >/ready; while :; do usleep 20000; done'];
const deaf = ['sh', '-c', 'trap "" TERM; : >/ready; while :; do usleep 20000; done'];

/** Tries of a client whose calls meet their deadline while a step hangs. */
const patientTries = 100;
const usualTries = 6;

export function describeFindings(findings: readonly Finding[]): string {
  return findings.map(formatFinding).join('; ');
}

let counter = 0;

/** Lives one case of a step, as the kubelet would. Throws what is wrong; `failures` grows by the calls that failed on the way. */
export async function liveStepCase(bed: FaultBed, one: StepCase, failures: string[]): Promise<void> {
  const { step, fault } = one;
  const isOfImage = step.includes('-image/');
  const life = (tries: number) =>
    isOfImage
      ? (isOperators(step) ? liveMovedImage : liveImage)(bed, failures, tries)
      : livePod(
          bed,
          {
            sharesPid: needsInit(step),
            hasPort: step.includes('-sandbox/'),
            ignoresTerm: step === 'stop-container/kill',
            isCommitted: step.startsWith('commit-container/'),
          },
          failures,
          tries,
        );
  writeFileSync(bed.faultFile, planOf(one));
  if (fault.action !== 'hang') await life(usualTries);
  else {
    const { end } = fault;
    await liveThroughHang(
      bed,
      { failures, end, hangFile: bed.hangFile, meetsDeadline: meetsDeadline(one) },
      life,
    );
  }
  if (existsSync(bed.faultFile)) throw new Error('the step was never reached');
  await (isOfImage ? expectNoImage : expectNoPod)(bed);
}

/** The same for a program that fails. */
export async function liveProgramCase(bed: FaultBed, one: ProgramCase, failures: string[]): Promise<void> {
  const { program, operation, action } = one;
  const file = bed.programFaultFile;
  rmSync(`${file}.done`, { force: true });
  // A failure after the exit is nobody's until the container is removed.
  if (operation === 'delete') writeFileSync(bed.faultFile, 'stop-container/release:before=error');
  const planned = operation === 'delete' || operation === 'DEL' ? 'later' : 'now';
  const plan = () => writeFileSync(file, `${program} ${operation} ${action}\n`);
  if (planned === 'now') plan();
  const kind = {
    sharesPid: false,
    hasPort: true,
    ignoresTerm: false,
    handler: failingHandler,
    ...(planned === 'later' && { beforeRemoval: plan }),
  };
  const life = (tries: number) => livePod(bed, kind, failures, tries);
  if (action !== 'hang') await life(usualTries);
  else
    await liveThroughHang(
      bed,
      { failures, end: 'lift', hangFile: `${file}.hanging`, meetsDeadline: true },
      life,
    );
  if (!existsSync(`${file}.done`)) throw new Error(`${program} ${operation} was never called`);
  const words = wordsOf(one);
  if (words && !failures.some((failure) => words.test(failure)))
    throw new Error(`no client was told ${words}`);
  await expectNoPod(bed);
}

/** Everything that a step is part of, once and without a fault of ours but the one that leads to the step after a failed one. */
export async function liveObserved(bed: FaultBed): Promise<void> {
  const failures: string[] = [];
  const kind = { sharesPid: true, hasPort: true, ignoresTerm: false };
  await livePod(bed, { ...kind, isCommitted: true }, failures, 1);
  await livePod(bed, { ...kind, sharesPid: false, ignoresTerm: true }, failures, 1);
  writeFileSync(bed.faultFile, 'stop-container/release:before=error');
  await livePod(bed, { ...kind, sharesPid: false }, failures, 1);
  await livePodAbandoned(bed, failures);
  await liveImage(bed, failures, 1);
  await liveMovedImage(bed, failures, 1);
  await bed.call('ImageFsInfo', {});
}

const mostDoublings = 4;
const patienceLookMs = 10;

async function liveThroughHang(
  bed: FaultBed,
  hang: Omit<Watched, 'isOver'>,
  life: (tries: number) => Promise<void>,
): Promise<void> {
  bed.deadlineMs = hangDeadlineMs;
  let isOver = false;
  // A busy machine may need longer than that for what comes before the hang: a client that got so far only is more patient then.
  const patience = setInterval(() => {
    if (existsSync(hang.hangFile)) clearInterval(patience);
    else
      bed.deadlineMs = hangDeadlineMs * 2 ** Math.min(mostDoublings, hang.failures.filter(isDeadline).length);
  }, patienceLookMs);
  try {
    const watched = watchHang(bed, { ...hang, isOver: () => isOver });
    const lived = life(patientTries).finally(() => {
      isOver = true;
    });
    // Both to their end, whichever fails: the next case must find nobody at work.
    const results = await Promise.allSettled([watched, lived]);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  } finally {
    clearInterval(patience);
    bed.deadlineMs = undefined;
  }
}

/** An image is pulled, used by nobody, removed. */
async function liveImage(bed: FaultBed, failures: string[], tries: number): Promise<void> {
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

/** Steps that only an operator's tool leads to. */
function isOperators(step: StepName): boolean {
  return /^(tag|load|export|push|staged)-image\/|remove-image\/untag/.test(step);
}

/** An image is pulled, named anew, saved, removed, loaded from what was saved, pushed, removed. */
async function liveMovedImage(bed: FaultBed, failures: string[], tries: number): Promise<void> {
  const name = 'docker.io/library/copy:latest';
  const image = { image: otherImageName };
  await insist(bed, failures, 'PullImage', () => bed.call('PullImage', { image }), tries);
  await insist(
    bed,
    failures,
    'TagImage',
    () => bed.admin('TagImage', { image: otherImageName, target: name }),
    tries,
  );
  const archive = await insist(
    bed,
    failures,
    'SaveImages',
    async () => {
      const pieces = await bed.admin('SaveImages', { images: [name], format: 'oci' });
      return pieces.map((piece) => (piece as { data: Buffer }).data);
    },
    tries,
  );
  const drop = async () => {
    // A try that died may have done it.
    const { image: found } = await bed.call('ImageStatus', { image: { image: name } });
    if (found) await bed.admin('DropImage', { image: name, force: false });
  };
  await insist(bed, failures, 'DropImage', drop, tries);
  await insist(bed, failures, 'RemoveImage', () => bed.call('RemoveImage', { image }), tries);
  const messages = archive.map((data) => ({ data }));
  await insist(bed, failures, 'LoadImages', () => bed.admin('LoadImages', ...messages), tries);
  await insist(
    bed,
    failures,
    'PushImage',
    () => bed.admin('PushImage', { image: name, target: `${bed.registryHost}/moved/copy${counter}:1` }),
    tries,
  );
  counter += 1;
  await insist(
    bed,
    failures,
    'RemoveImage',
    () => bed.call('RemoveImage', { image: { image: name } }),
    tries,
  );
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

interface PodKind {
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
async function livePodAbandoned(bed: FaultBed, failures: string[]): Promise<void> {
  counter += 1;
  const walk = new PodWalk(bed, { name: `pod${counter}`, tries: 1, failures });
  await walk.run();
  await walk.start(obedient);
  await walk.stop();
  await walk.remove();
}

/** A pod runs a container and a command in it, and is stopped and removed. */
async function livePod(bed: FaultBed, kind: PodKind, failures: string[], tries: number): Promise<void> {
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
