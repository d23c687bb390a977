/**
 * Steps: the named parts of an operation that have an effect on the machine. Naming them serves two ends: how long each
 * takes can be observed, and a test can make each one fail, hang, or end the daemon. Without an observer a step is a plain
 * call. Metrics and traces watch steps as spans (span.ts); the observer here is for tests.
 */
import { type Span, span } from './span.ts';

/** Every step there is, as `operation/step`. A name missing here does not compile; the sweep of fault tests walks this list. */
export const stepNames = [
  'run-sandbox/record',
  'run-sandbox/pin-namespaces',
  'run-sandbox/attach-network',
  'run-sandbox/record-network',
  'run-sandbox/make-files',
  'run-sandbox/start-init',
  'run-sandbox/record-init',
  'run-sandbox/record-ready',
  'stop-sandbox/record',
  'stop-sandbox/kill-containers',
  'stop-sandbox/detach-network',
  'stop-sandbox/remove-init',
  'stop-sandbox/unpin-namespaces',
  'stop-sandbox/release-volumes',
  'remove-sandbox/record-removing',
  'remove-sandbox/remove-containers',
  'remove-sandbox/remove-files',
  'remove-sandbox/forget',
  'create-container/record',
  'create-container/make-bundle',
  'create-container/prepare-snapshot',
  'create-container/mount-root',
  'create-container/prepare-root',
  'create-container/make-volumes',
  'create-container/write-bundle',
  'create-container/run-monitor',
  'create-container/record-created',
  'start-container/oci-start',
  'start-container/record-running',
  'stop-container/signal',
  'stop-container/kill',
  'stop-container/record-exit',
  'stop-container/release',
  'remove-container/record-removing',
  'remove-container/delete-from-runtime',
  'remove-container/remove-snapshot',
  'remove-container/remove-volumes',
  'remove-container/remove-bundle',
  'remove-container/forget',
  'update-container/oci-update',
  'update-container/record',
  'update-sandbox/record',
  'reopen-log/reopen',
  'exec-sync/write-process',
  'exec-sync/run',
  'exec-sync/remove-process',
  'exec/write-process',
  'exec/open-console',
  'exec/run',
  'exec/close-console',
  'exec/remove-process',
  'attach/resize',
  'pause-container/record',
  'pause-container/oci-pause',
  'unpause-container/oci-resume',
  'unpause-container/record',
  'rename-container/record',
  'kill-container/signal',
  'revive-sandbox/clear',
  'revive-container/clear',
  'copy-to-container/unpack',
  'copy-from-container/pack',
  'open-exited/mount-root',
  'open-exited/unmount-root',
  'make-volume/write',
  'make-volume/place',
  'fill-volume/copy',
  'fill-volume/place',
  'fill-volume/record',
  'remove-volume/take-away',
  'remove-volume/delete',
  'pull-image/resolve',
  'pull-image/start-layer',
  'pull-image/unpack-layer',
  'pull-image/inherit-folders',
  'pull-image/commit-layer',
  'pull-image/record',
  'remove-image/forget',
  'remove-image/untag',
  'remove-image/collect',
  'tag-image/record',
  'load-image/receive',
  'load-image/store',
  'load-image/record',
  'export-image/gather-layers',
  'push-image/upload',
  'push-image/manifest',
  'commit-container/pause',
  'commit-container/pack',
  'commit-container/record',
  'commit-container/resume',
  'staged-image/remove',
  'diff-container/list',
  'checkpoint-container/make-folder',
  'checkpoint-container/freeze',
  'checkpoint-container/dump',
  'checkpoint-container/save-files',
  'checkpoint-container/describe',
  'checkpoint-container/thaw',
  'checkpoint-container/pack',
  'checkpoint-container/publish',
  'checkpoint-container/clear',
  'checkpoint-pod/make-folders',
  'checkpoint-pod/save-shm',
  'checkpoint-pod/describe',
  'checkpoint-pod/forget-capture',
  'restore-container/probe-image',
  'restore-container/copy-checkpoint',
  'restore-container/record-image',
  'restore-container/fill-root',
  'restore-container/remove-deleted',
  'restore-container/fill-volumes',
  'restore-container/run-monitor',
  'restore-container/record',
  'restore-container/remove-checkpoint',
  'restore-pod/load-shm',
  'restore-pod/record',
  'start/lock',
  'start/open',
  'start/listen',
  'start/reserve-log-room',
  'recover/begin',
  'recover/images',
  'recover/volumes',
  'recover/network',
  'recover/end-strays',
  'recover/end-commands',
  'recover/undo-container',
  'recover/record-lost',
  'recover/record-started',
  'recover/record-restored',
  'recover/thaw',
  'recover/record-paused',
  'recover/undo-sandbox',
  'recover/release-exited',
  'recover/undo-revival',
  'recover/undo-pod-revival',
  'recover/remove-pod',
  'recover/lose-sandbox',
  'recover/remove-unknown',
  'recover/remove-capture',
  'recover/end-lost',
  'recover/pay-debt',
  'recover/note-boot',
] as const;

export type StepName = (typeof stepNames)[number];

export interface StepObserver {
  /** May throw, or never settle: then the step is not done. */
  before(name: StepName): Promise<void> | void;
  /** `error` is what the step threw. */
  after(name: StepName, durationMs: number, error?: unknown): Promise<void> | void;
  /** Calls `work`, which is the step's, and returns what it returns; for who wants to know what happens inside. */
  within?<T>(name: StepName, work: () => Promise<T> | T): Promise<T> | T;
}

let observer: StepObserver | undefined;

/** Sets who is told of every step; undefined for nobody. */
export function observeSteps(next: StepObserver | undefined): void {
  observer = next;
}

async function observed<T>(watching: StepObserver, name: StepName, work: () => Promise<T> | T): Promise<T> {
  await watching.before(name);
  const startedMs = performance.now();
  let result: T;
  try {
    result = await (watching.within ? watching.within(name, work) : work());
  } catch (error) {
    await watching.after(name, performance.now() - startedMs, error);
    throw error;
  }
  await watching.after(name, performance.now() - startedMs);
  return result;
}

/** Runs one named step and returns what it returns. `attributes` are for traces. */
export function step<T>(
  name: StepName,
  work: () => Promise<T> | T,
  attributes?: Span['attributes'],
): Promise<T> {
  const watching = observer;
  const inner = watching === undefined ? work : () => observed(watching, name, work);
  return span('step', name, inner, attributes);
}

/** As `step`, for work that must be done whatever becomes of the step: an observer's error is thrown when it is done. */
export async function stepAnyway(name: StepName, work: () => Promise<void> | void): Promise<void> {
  let isTried = false;
  const noted = (): Promise<void> | void => {
    isTried = true;
    return work();
  };
  try {
    await step(name, noted);
  } catch (error) {
    if (!isTried) await noted();
    throw error;
  }
}
