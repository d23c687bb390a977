/** Which life each fault happens in, and how it is planned. A life ends with nothing left of it, or throws what is wrong. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import type { StepName } from '#base/step.ts';
import { DaemonDied, FaultBed, failingCheckpointHandler, failingHandler } from './bed.ts';
import {
  type Fault,
  faults,
  isClients,
  isOfRemoval,
  meetsDeadline,
  type ProgramCase,
  plannedOperation,
  planOf,
  preludeOf,
  reachableSteps,
  type StepCase,
  startOf,
  stepBefore,
  wordsOf,
} from './cases.ts';
import { liveCheckpoint, liveRestore, prepareRestore } from './checkpoint-life.ts';
import { hangDeadlineMs, isDeadline, type Watched, watchHang } from './hang.ts';
import { expectNoImage, liveImage, liveMovedImage } from './image-life.ts';
import { allOperatorParts, liveOperated, type OperatedKind } from './operator-life.ts';
import { liveCheck, liveGarbage, liveStatus } from './plugin-life.ts';
import { expectNoPod, livePod, livePodAbandoned } from './pod-life.ts';
import {
  damageOf,
  everyDamage,
  isOfFirstStart,
  liveCleanStart,
  liveFirstStart,
  liveRestart,
} from './restart-life.ts';

/** Tries of a client whose calls meet their deadline while a step hangs. */
const patientTries = 100;
const usualTries = 6;

/** What a step or a program is part of, and what must hold when it is over. */
interface Life {
  /** Before the fault is planned. */
  readonly prepare?: () => Promise<void>;
  /** Whether it plans the fault when it has come so far. */
  readonly plansItself?: boolean;
  readonly live: (tries: number) => Promise<void>;
  /** What must hold then; by default that no pod is left. */
  readonly expectNothing?: (bed: FaultBed) => Promise<void>;
}

function lifeOf(bed: FaultBed, one: StepCase, plan: () => void, failures: string[]): Life {
  const { step, fault } = one;
  if (isOfFirstStart(step))
    return { live: (tries) => liveFirstStart(bed, failures, tries), expectNothing: () => bed.awaitClean() };
  const damage = damageOf(step);
  if (damage !== undefined)
    return {
      plansItself: true,
      live: (tries) => liveRestart(bed, { damage, plan }, failures, tries),
      expectNothing: expectNoPodOfAny,
    };
  const operated = operatedKindOf(step, fault);
  if (operated) return lifeOfOperated(bed, operated, failures);
  const before = stepBefore(step);
  if (before !== undefined && startOf(step) !== 'none')
    return lifeOf(bed, { step: before, fault }, plan, failures);
  if (step.includes('-image/')) {
    const live = isOperators(step) ? liveMovedImage : liveImage;
    return { live: (tries) => live(bed, failures, tries), expectNothing: expectNoImage };
  }
  const subject = step.includes('-pod/') ? 'pod' : 'container';
  if (step.startsWith('checkpoint-'))
    return {
      live: async (tries) => void (await liveCheckpoint(bed, { subject }, failures, tries)),
    };
  if (step.startsWith('restore-')) {
    const kind = { subject, isFromImage: step === 'restore-container/probe-image' } as const;
    return {
      prepare: () => prepareRestore(bed, kind),
      live: (tries) => liveRestore(bed, kind, failures, tries),
    };
  }
  const kind = {
    sharesPid: needsInit(step),
    hasPort: step.includes('-sandbox/'),
    ignoresTerm: step === 'stop-container/kill',
    isCommitted: step.startsWith('commit-container/'),
  };
  return { live: (tries) => livePod(bed, kind, failures, tries) };
}

/** As `expectNoPod`, where the fault may have been the last that the daemon did: it may be found dead then. */
async function expectNoPodOfAny(bed: FaultBed): Promise<void> {
  try {
    await expectNoPod(bed);
  } catch (error) {
    if (!(error instanceof DaemonDied)) throw error;
    await bed.start();
    await expectNoPod(bed);
  }
}

function lifeOfOperated(bed: FaultBed, kind: OperatedKind, failures: string[]): Life {
  return { live: (tries) => liveOperated(bed, kind, failures, tries) };
}

/** The part of an operator's pod's life that leads to a step; undefined for a step of others' pods. */
function operatedKindOf(step: StepName, { phase }: Fault): OperatedKind | undefined {
  // What is made for the second time, by a revival, is cut short.
  if (step === 'recover/undo-revival' || step === 'recover/undo-pod-revival') return { parts: ['revive'] };
  const [operation] = step.split('/');
  switch (operation) {
    case 'pause-container':
    case 'unpause-container':
      return { parts: ['pause'] };
    case 'rename-container':
      return { parts: ['rename'] };
    case 'kill-container':
      return { parts: ['signal'] };
    case 'revive-container':
    case 'revive-sandbox':
      return { parts: ['revive'] };
    case 'attach':
      return { parts: ['resize'], hasTerminal: true };
    case 'exec':
      if (step.endsWith('-console')) return { parts: ['terminal'] };
      // A command that nobody stays with does not end, so that nothing of it is removed.
      return { parts: [phase === 'before' || step === 'exec/remove-process' ? 'attached' : 'detached'] };
    case 'copy-to-container':
    case 'copy-from-container':
      return { parts: [phase === 'before' ? 'copy' : 'exited'] };
    case 'diff-container':
      return { parts: ['diff'] };
    case 'open-exited':
      return { parts: ['exited'] };
    case 'make-volume':
    case 'fill-volume':
    case 'remove-volume':
      return { parts: ['volume'] };
    default:
      return undefined;
  }
}

/** Lives one case of a step, as the kubelet would. Throws what is wrong; `failures` grows by the calls that failed on the way. */
export async function liveStepCase(bed: FaultBed, one: StepCase, failures: string[]): Promise<void> {
  if (!isOfFirstStart(one.step)) return liveStepIn(bed, one, failures);
  const fresh = await FaultBed.prepare(bed.network);
  try {
    await liveStepIn(fresh, one, failures);
  } finally {
    await fresh.close();
  }
}

async function liveStepIn(bed: FaultBed, one: StepCase, failures: string[]): Promise<void> {
  const { step, fault } = one;
  const plan = () => writeFileSync(bed.faultFile, planOf(one));
  const { prepare, plansItself, live, expectNothing = expectNoPod } = lifeOf(bed, one, plan, failures);
  await prepare?.();
  if (!plansItself) plan();
  if (fault.action !== 'hang') await live(usualTries);
  else {
    const { end } = fault;
    await liveThroughHang(
      bed,
      { failures, end, hangFile: bed.hangFile, meetsDeadline: meetsDeadline(one), start: startOf(step) },
      live,
    );
  }
  if (existsSync(bed.faultFile)) throw new Error('the step was never reached');
  await expectNothing(bed);
}

/** `plan` plans the fault, at once or when the life has come so far. */
function lifeOfProgram(bed: FaultBed, one: ProgramCase, plan: () => void, failures: string[]): Life {
  const { program, operation } = one;
  if (program === 'crun-criu') {
    const kind = { subject: 'container', handler: failingCheckpointHandler } as const;
    if (operation === 'restore')
      return {
        prepare: () => prepareRestore(bed, kind),
        live: (tries) => liveRestore(bed, { ...kind, beforeRestore: plan }, failures, tries),
      };
    return {
      live: async (tries) =>
        void (await liveCheckpoint(bed, { ...kind, beforeCheckpoint: plan }, failures, tries)),
    };
  }
  if (operation === 'STATUS') return { live: (tries) => liveStatus(bed, plan, failures, tries) };
  if (operation === 'CHECK') return { live: (tries) => liveCheck(bed, plan, failures, tries) };
  if (operation === 'GC')
    return {
      live: (tries) => liveGarbage(bed, plan, failures, tries, wordsOf(one)),
    };
  if (program === 'crun' && (operation === 'pause' || operation === 'resume')) {
    plan();
    return lifeOfOperated(bed, { parts: ['pause'], handler: failingHandler }, failures);
  }
  // A failure after the exit is nobody's until the container is removed.
  if (operation === 'delete') writeFileSync(bed.faultFile, 'stop-container/release:before=error');
  const isLater = isOfRemoval(one);
  if (!isLater) plan();
  const kind = {
    sharesPid: false,
    hasPort: true,
    ignoresTerm: false,
    handler: failingHandler,
    ...(isLater && { beforeRemoval: plan }),
  };
  return { live: (tries) => livePod(bed, kind, failures, tries) };
}

/** The same for a program that fails. */
export async function liveProgramCase(bed: FaultBed, one: ProgramCase, failures: string[]): Promise<void> {
  const { program, operation, action } = one;
  const file = bed.programFaultFile;
  rmSync(`${file}.done`, { force: true });
  const plan = () => writeFileSync(file, `${program} ${plannedOperation(one)} ${action}\n`);
  const { prepare, live, expectNothing = expectNoPod } = lifeOfProgram(bed, one, plan, failures);
  await prepare?.();
  if (action !== 'hang') await live(usualTries);
  else
    await liveThroughHang(
      bed,
      {
        failures,
        end: 'lift',
        hangFile: `${file}.hanging`,
        meetsDeadline: isClients(one),
        start: 'none',
      },
      live,
    );
  if (!existsSync(`${file}.done`)) throw new Error(`${program} ${operation} was never called`);
  const words = wordsOf(one);
  if (words && operation !== 'GC' && !failures.some((failure) => words.test(failure)))
    throw new Error(`no client was told ${words}`);
  await expectNothing(bed);
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
  await liveOperated(bed, { parts: allOperatorParts }, failures, 1);
  await liveOperated(bed, { parts: ['resize'], hasTerminal: true }, failures, 1);
  await bed.call('ImageFsInfo', {});
}

/** The same of checkpoints. */
export async function liveObservedCheckpoints(bed: FaultBed): Promise<void> {
  const failures: string[] = [];
  for (const subject of ['container', 'pod'] as const) {
    await liveCheckpoint(bed, { subject }, failures, 1);
    await liveRestore(bed, { subject }, failures, 1);
  }
  const ofImage = { subject: 'container', isFromImage: true } as const;
  await prepareRestore(bed, ofImage);
  await liveRestore(bed, ofImage, failures, 1);
}

/** A life around each way to start, each ending with the daemon that was started so. */
export function observedStarts(bed: FaultBed, hasCriu: boolean): (() => Promise<void>)[] {
  const failures: string[] = [];
  const interrupted = reachableSteps(hasCriu).filter(
    (step) => startOf(step) !== 'none' && stepBefore(step) !== undefined,
  );
  return [
    () => liveCleanStart(bed),
    ...everyDamage.map((damage) => () => liveRestart(bed, { damage, plan: () => {} }, failures, 1)),
    ...interrupted.map((step) => async () => {
      const { prepare, live } = lifeOf(bed, { step, fault: faults[0] }, () => {}, failures);
      await prepare?.();
      writeFileSync(bed.faultFile, preludeOf(step));
      await live(usualTries);
    }),
  ];
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

function needsInit(step: StepName): boolean {
  return /init|stop-sandbox|remove-sandbox/.test(step);
}

/** Steps that only an operator's tool leads to. */
function isOperators(step: StepName): boolean {
  return /^(tag|load|export|push|staged)-image\/|remove-image\/untag/.test(step);
}
