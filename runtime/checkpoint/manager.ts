/** See contract.ts. What of a call has an effect outside of Berth's own folders is written so that it can be undone. */
import { lstatSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf, RuntimeError, throwIfAborted } from '#base/errors.ts';
import { KeyedLock } from '#base/keyed-lock.ts';
import type { Log } from '#base/log.ts';
import { step, stepAnyway } from '#base/step.ts';
import type { Snapshotter } from '#images/contract.ts';
import type { ContainerConfig, ContainerId } from '../container/config.ts';
import type { CrunContainers } from '../container/manager.ts';
import type { ContainerRecord } from '../container/record.ts';
import { removeVolumes } from '../container/volumes.ts';
import type { HandlerTable } from '../handlers.ts';
import type { RuntimePaths } from '../paths.ts';
import { isSameRequest } from '../same-request.ts';
import type { SandboxId } from '../sandbox/config.ts';
import type { PinnedSandboxes } from '../sandbox/manager.ts';
import type { SandboxRecord } from '../sandbox/record.ts';
import { checkpointFiles, type PodOptions, podFiles, readPodOptions } from './archive-files.ts';
import { capture, checkCapturable } from './capture.ts';
import type { CheckpointManager, PodCheckpointRequest, PodRestoreRequest, RestoredPod } from './contract.ts';
import { type Frozen, forgetCapture, freeze, noteCapture, thaw } from './freezer.ts';
import type { CheckpointSupport } from './support.ts';
import { extractTar, writeTar } from './tar.ts';

/** When nobody sets a limit, a container must not stand still for ever either. */
const longestMs = 600_000;

export interface CheckpointsOptions {
  readonly sandboxes: Pick<PinnedSandboxes, 'get' | 'list' | 'run' | 'remove' | 'completeRestore'>;
  readonly containers: CrunContainers;
  readonly handlers: HandlerTable;
  readonly support: CheckpointSupport;
  readonly snapshotter: Snapshotter;
  readonly paths: RuntimePaths;
  readonly version: string;
  readonly log: Log;
}

export class Checkpoints implements CheckpointManager {
  readonly #options: CheckpointsOptions;
  readonly #lock = new KeyedLock();

  constructor(options: CheckpointsOptions) {
    this.#options = options;
  }

  async checkpointContainer(
    idOrPrefix: string,
    location: string,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { containers, paths } = this.#options;
    const { id } = checkCheckpointable(containers.get(idOrPrefix));
    checkLocation(location);
    const limit = limitOf(signal, timeoutMs, `checkpointing container ${id}`);
    const partial = `${location}.partial`;
    const write = async (records: readonly ContainerRecord[]): Promise<void> => {
      const folder = paths.capture(id);
      try {
        await step('checkpoint-container/make-folder', async () => {
          await removeVolumes(folder);
          mkdirSync(folder, { recursive: true, mode: 0o700 });
        });
        await this.#captureAll(records, () => folder, [folder, partial], limit);
        await step('checkpoint-container/pack', async () => {
          // A link that somebody has put there is not followed.
          rmSync(partial, { force: true });
          writeFileSync(partial, '', { mode: 0o600, flag: 'wx' });
          await writeTar(partial, folder, readdirSync(folder), false, limit);
        });
        throwIfAborted(limit, `checkpointing container ${id}`);
        await step('checkpoint-container/publish', () => renameSync(partial, location));
      } finally {
        await stepAnyway('checkpoint-container/clear', async () => {
          rmSync(partial, { force: true });
          await removeVolumes(folder);
          forgetCapture(paths.bundle(id));
        });
      }
    };
    await this.#lock.run(location, () => containers.hold([id], write));
  }

  /**
   * Stops all, writes each into its folder, lets all go on; `whileStill` is called before that. `partial` is what a daemon that takes over shall remove.
   * Throws what support, freezing and capturing throw.
   */
  async #captureAll(
    records: readonly ContainerRecord[],
    folderOf: (record: ContainerRecord) => string,
    partial: readonly string[],
    limit: AbortSignal,
    whileStill: () => Promise<void> = async () => {},
  ): Promise<void> {
    const { sandboxes, snapshotter, handlers, support, paths, log } = this.#options;
    const parts = await Promise.all(
      records.map(async (record) => {
        const handler = handlers.get(record.handler);
        const searchPath = await support.require(handler);
        checkCheckpointable(record);
        checkCapturable(record, sandboxes.get(record.sandboxId), snapshotter);
        return { record, handler, searchPath, paths, snapshotter };
      }),
    );
    const frozen: Frozen[] = [];
    const failures: unknown[] = [];
    try {
      for (const { record, handler } of parts) {
        throwIfAborted(limit, `checkpointing container ${record.id}`);
        const container = {
          id: record.id,
          handler,
          bundle: paths.bundle(record.id),
          process: record.process,
        };
        // Before, not after: what fails when it is done has it stand still.
        frozen.push(container);
        await step('checkpoint-container/freeze', () => freeze(container, partial, log));
      }
      for (const part of parts) await capture(part, folderOf(part.record), limit);
      await whileStill();
    } catch (error) {
      failures.push(error);
    }
    // Side by side, and each whatever becomes of the others.
    const thaws = frozen.map((container) =>
      stepAnyway('checkpoint-container/thaw', () => thaw(container, log)),
    );
    for (const outcome of await Promise.allSettled(thaws))
      if (outcome.status === 'rejected') {
        log.error({ err: outcome.reason }, messageOf(outcome.reason));
        failures.push(outcome.reason);
      }
    if (failures.length > 0) throw failures[0];
  }

  async checkpointPod(request: PodCheckpointRequest, signal: AbortSignal): Promise<void> {
    const { sandboxes, containers, paths } = this.#options;
    const { outputPath } = request;
    refuseOptions(request.options);
    const sandbox = sandboxes.get(request.sandboxId);
    if (sandbox.state !== 'ready' || sandbox.isRemoving)
      throw new RuntimeError(
        'FailedPrecondition',
        `sandbox ${sandbox.id} is not ready; only a ready one can be checkpointed`,
      );
    const ids = this.#chosenContainers(sandbox.id, request.containerIds);
    const limit = limitOf(signal, 0, `checkpointing sandbox ${sandbox.id}`);
    await this.#lock.run(outputPath, async () => {
      checkOutput(outputPath);
      try {
        await containers.hold(ids, async (records) => {
          try {
            await this.#writePod(sandbox, records, outputPath, limit);
          } finally {
            await stepAnyway('checkpoint-pod/forget-capture', () => {
              for (const id of ids) forgetCapture(paths.bundle(id));
            });
          }
        });
        throwIfAborted(limit, `checkpointing sandbox ${sandbox.id}`);
      } catch (error) {
        for (const name of readdirSync(outputPath)) await removeVolumes(join(outputPath, name));
        throw error;
      }
    });
  }

  /** Throws what capturing throws; then files are left in the folder. */
  async #writePod(
    sandbox: SandboxRecord,
    records: readonly ContainerRecord[],
    outputPath: string,
    limit: AbortSignal,
  ): Promise<void> {
    const { paths } = this.#options;
    const folderOf = (record: ContainerRecord): string => join(outputPath, record.config.metadata.name);
    const folders = records.map(folderOf);
    if (new Set(folders).size < folders.length)
      throw new RuntimeError('InvalidArgument', `sandbox ${sandbox.id}: two of the containers have one name`);
    const own = Object.values(podFiles).map((name) => join(outputPath, name));
    const partial = [...folders, ...own];
    await step('checkpoint-pod/make-folders', () => {
      for (const { id } of records) noteCapture(paths.bundle(id), partial);
      for (const folder of folders) mkdirSync(folder, { mode: 0o700 });
    });
    await this.#captureAll(records, folderOf, partial, limit, async () => {
      if (sandbox.ipcnsPath === '') return;
      await step('checkpoint-pod/save-shm', () =>
        this.#saveShm(sandbox.id, join(outputPath, podFiles.shm), limit),
      );
    });
    const write = (name: string, content: unknown): void =>
      writeFileSync(join(outputPath, name), `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600 });
    await step('checkpoint-pod/describe', () => {
      write(podFiles.pod, { runtimeHandler: sandbox.runtimeHandler, config: sandbox.config });
      // The last file: without it the folder is no checkpoint.
      write(podFiles.options, this.#describePod(records));
    });
  }

  #describePod(records: readonly ContainerRecord[]): PodOptions {
    return {
      version: 1,
      containers: Object.fromEntries(records.map(({ id, config }) => [config.metadata.name, id])),
      annotations: {
        'org.criu.checkpoint.engine.name': 'berth',
        'org.criu.checkpoint.engine.version': this.#options.version,
      },
    };
  }

  #chosenContainers(sandboxId: SandboxId, wanted: readonly string[]): ContainerId[] {
    if (wanted.length === 0)
      throw new RuntimeError(
        'InvalidArgument',
        `checkpointing sandbox ${sandboxId}: no containers are named`,
      );
    const records = wanted.map((id) => this.#options.containers.get(id));
    for (const record of records) {
      if (record.sandboxId !== sandboxId)
        throw new RuntimeError('InvalidArgument', `container ${record.id} is not in sandbox ${sandboxId}`);
      checkCheckpointable(record);
    }
    const ids = records.map(({ id }) => id);
    if (new Set(ids).size < ids.length)
      throw new RuntimeError(
        'InvalidArgument',
        `checkpointing sandbox ${sandboxId}: a container is named twice`,
      );
    return ids;
  }

  /** The containers' shared memory has no owner among them. */
  async #saveShm(sandboxId: SandboxId, archive: string, limit: AbortSignal): Promise<void> {
    const shm = join(this.#options.paths.sandbox(sandboxId), 'shm');
    const names = readdirSync(shm);
    if (names.length > 0) await writeTar(archive, shm, names, false, limit);
  }

  async restorePod(request: PodRestoreRequest, signal: AbortSignal): Promise<RestoredPod> {
    const { checkpointPath, config, runtimeHandler } = request;
    refuseOptions(request.options);
    const handler = this.#options.handlers.get(runtimeHandler);
    checkFolder(checkpointPath, 'checkpoint_path');
    checkNames(request.containers, readPodOptions(checkpointPath), checkpointPath);
    await this.#options.support.require(handler);
    const { name, namespace, uid, attempt } = config.metadata;
    const key = `restore ${JSON.stringify([name, namespace, uid, attempt])}`;
    return this.#lock.run(key, async () => {
      throwIfAborted(signal, 'restoring a pod');
      const known = this.#findRestored(request);
      if (known) return known;
      return this.#restoreInto(request, signal);
    });
  }

  /** A client that timed out asks again: what its first request made is the answer. */
  #findRestored({
    checkpointPath,
    config,
    runtimeHandler,
    containers: configs,
  }: PodRestoreRequest): RestoredPod | undefined {
    const { sandboxes, containers } = this.#options;
    const pod = sandboxes
      .list()
      .find(
        (record) =>
          record.restoredFrom === checkpointPath &&
          record.isRestoring === false &&
          record.state === 'ready' &&
          !record.isRemoving &&
          record.runtimeHandler === runtimeHandler &&
          isSameRequest(record.config, config),
      );
    if (!pod) return undefined;
    const made = containers.listOf(pod.id);
    const restored = configs.flatMap((wanted) => {
      const found = made.find((record) => record.state !== 'exited' && isSameRequest(record.config, wanted));
      return found ? [{ name: wanted.metadata.name, id: found.id }] : [];
    });
    return restored.length === configs.length && made.length === configs.length
      ? { sandboxId: pod.id, containers: restored }
      : undefined;
  }

  async #restoreInto(request: PodRestoreRequest, signal: AbortSignal): Promise<RestoredPod> {
    const { sandboxes, containers, log } = this.#options;
    const sandboxId = await sandboxes.run(
      request.config,
      request.runtimeHandler,
      signal,
      request.checkpointPath,
    );
    try {
      await this.#loadShm(sandboxId, request.checkpointPath, signal);
      const restored: { name: string; id: ContainerId }[] = [];
      for (const config of request.containers) {
        const { name } = config.metadata;
        const source = { type: 'folder', path: join(request.checkpointPath, name) } as const;
        restored.push({ name, id: await containers.create(sandboxId, config, signal, source) });
      }
      throwIfAborted(signal, 'restoring a pod');
      await sandboxes.completeRestore(sandboxId);
      return { sandboxId, containers: restored };
    } catch (error) {
      await sandboxes.remove(sandboxId, new AbortController().signal).catch((failure: unknown) => {
        log.error({ sandboxId, err: failure }, `undoing the restore of a pod failed: ${messageOf(failure)}`);
      });
      throw error;
    }
  }

  async #loadShm(sandboxId: SandboxId, checkpointPath: string, signal: AbortSignal): Promise<void> {
    const archive = join(checkpointPath, podFiles.shm);
    if (!lstatSync(archive, { throwIfNoEntry: false })?.isFile()) return;
    if (this.#options.sandboxes.get(sandboxId).ipcnsPath === '')
      throw new RuntimeError(
        'InvalidArgument',
        "the checkpoint has shared memory of its own, and the pod would use the node's",
      );
    await step('restore-pod/load-shm', () =>
      extractTar(archive, join(this.#options.paths.sandbox(sandboxId), 'shm'), signal),
    );
  }
}

function checkCheckpointable(record: ContainerRecord): ContainerRecord {
  const { id, state, isPaused } = record;
  if (state !== 'running')
    throw new RuntimeError(
      'FailedPrecondition',
      `container ${id} is ${state}; only a running one can be checkpointed`,
    );
  // It would go on after the capture, against the will of whoever paused it.
  if (isPaused === true)
    throw new RuntimeError(
      'FailedPrecondition',
      `container ${id} is paused; let it go on first, with berth unpause`,
    );
  return record;
}

function limitOf(signal: AbortSignal, timeoutMs: number, attempted: string): AbortSignal {
  const ms = timeoutMs > 0 ? timeoutMs : longestMs;
  const timer = new AbortController();
  const reason = new RuntimeError(
    'DeadlineExceeded',
    `${attempted}: no end within ${ms / 1000} s; it goes on unharmed`,
  );
  setTimeout(() => timer.abort(reason), ms).unref();
  return AbortSignal.any([signal, timer.signal]);
}

/** No option is known yet; one that is not understood must not be passed over (CRI CheckpointPodRequest.options). */
function refuseOptions(options: Readonly<Record<string, string>>): void {
  const [first] = Object.keys(options);
  if (first !== undefined)
    throw new RuntimeError(
      'InvalidArgument',
      `options: ${JSON.stringify(first.slice(0, 100))} is unknown; there are none`,
    );
}

function checkLocation(location: string): void {
  if (!statSync(dirname(location), { throwIfNoEntry: false })?.isDirectory())
    throw new RuntimeError('InvalidArgument', `location ${location}: its folder does not exist`);
  const existing = lstatSync(location, { throwIfNoEntry: false });
  if (location.endsWith('/') || (existing && !existing.isFile()))
    throw new RuntimeError('InvalidArgument', `location ${location} is no place for a file`);
}

function checkFolder(path: string, field: string): void {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isDirectory())
    throw new RuntimeError('InvalidArgument', `${field} ${path} is no folder`);
}

function checkOutput(path: string): void {
  checkFolder(path, 'output_path');
  if (readdirSync(path).length > 0)
    throw new RuntimeError('InvalidArgument', `output_path ${path} is not empty`);
}

/** The request has to describe each container of the checkpoint, once, and no other. */
function checkNames(configs: readonly ContainerConfig[], options: PodOptions, path: string): void {
  const saved = Object.keys(options.containers).toSorted();
  const wanted = configs.map(({ metadata }) => metadata.name).toSorted();
  const isPlain = saved.every((name) => !name.includes('/') && name !== '' && name !== '.' && name !== '..');
  if (!isPlain || JSON.stringify(saved) !== JSON.stringify(wanted))
    throw new RuntimeError(
      'InvalidArgument',
      `container_configs describe ${wanted.join(', ') || 'nothing'}; the checkpoint at ${path} has ${saved.join(', ')}`,
    );
  for (const name of saved) checkFolder(join(path, name), `${checkpointFiles.images} of container ${name}:`);
}
