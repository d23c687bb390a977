/**
 * The lifecycle of containers: one lock per container for what changes its state, none for reads; stop and exec run
 * beside them. See `record.ts` for the states, `create.ts` for the steps of create, `exits.ts` for how containers end.
 * Longer than most files: it is the contract's calls, one after the other; what has a subject of its own is in a file of its own.
 */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, RuntimeError, throwIfAborted } from '#base/errors.ts';
import { KeyedLock } from '#base/keyed-lock.ts';
import type { Log } from '#base/log.ts';
import { SingleFlight } from '#base/single-flight.ts';
import { step } from '#base/step.ts';
import { killGroup, thawGroup } from '#host/cgroup.ts';
import { nowNs } from '#host/clock.ts';
import { isRunning, signalProcess } from '#host/proc.ts';
import type { ImageId } from '#images/contract.ts';
import type { Announcer } from '../announcer.ts';
import type { RestoreSource } from '../checkpoint/restore-sources.ts';
import type { ContainerManager, ExecSyncResult } from '../contract.ts';
import type { Limits } from '../lifecycle-hooks.ts';
import { reopenLog } from '../monitor/control-fifo.ts';
import type { RecordStore } from '../record-store.ts';
import { isSameRequest } from '../same-request.ts';
import type { LinuxResources, SandboxId } from '../sandbox/config.ts';
import type { SandboxRecord } from '../sandbox/record.ts';
import { signalNumber } from '../spec/stop-signal.ts';
import { cgroupLocation } from './cgroup-location.ts';
import { ContainerCommands } from './commands.ts';
import type { ContainerConfig, ContainerId } from './config.ts';
import { ContainerCreator, type CreatorOptions } from './create.ts';
import { ContainerDismantler, removeBundle } from './dismantle.ts';
import { ContainerExits } from './exits.ts';
import { ContainerLimits } from './limits.ts';
import { ContainerPauses } from './pauses.ts';
import type { ContainerRecord } from './record.ts';
import { ContainerRecovery } from './recovery.ts';
import { StopTask } from './stop-task.ts';
import { removeVolumes } from './volumes.ts';

const sigkill = 9;
const startFailedCode = 128;
const reopenTimeoutMs = 10_000;

export interface ManagerOptions extends CreatorOptions {
  readonly sandboxes: RecordStore<SandboxRecord>;
  readonly announcer: Announcer;
  readonly execDrainMs: number;
}

export class CrunContainers implements ContainerManager {
  readonly #options: ManagerOptions;
  readonly #containers: RecordStore<ContainerRecord>;
  readonly #creator: ContainerCreator;
  readonly #log: Log;
  readonly #lock = new KeyedLock();
  readonly #flights = new SingleFlight<ContainerId>();
  /** Creations under way, by sandbox: a sandbox that goes waits for them. */
  readonly #creating = new Map<SandboxId, Set<Promise<unknown>>>();
  readonly #stops = new Map<ContainerId, StopTask>();
  /** Who works with exited containers, or waits to. */
  readonly #guests = new Map<ContainerId, Set<AbortController>>();
  readonly #exits: ContainerExits;
  readonly #commands: ContainerCommands;
  readonly #limits: ContainerLimits;
  readonly #pauses: ContainerPauses;
  readonly #dismantler: ContainerDismantler;
  readonly #recovery: ContainerRecovery;

  constructor(options: ManagerOptions) {
    this.#options = options;
    this.#containers = options.containers;
    this.#creator = new ContainerCreator(options);
    this.#log = options.log;
    this.#exits = new ContainerExits({ ...options, lock: this.#lock });
    this.#commands = new ContainerCommands(options);
    this.#limits = new ContainerLimits(options, this.#lock);
    this.#pauses = new ContainerPauses(options);
    this.#dismantler = new ContainerDismantler(options);
    this.#recovery = new ContainerRecovery(options, {
      lock: this.#lock,
      exits: this.#exits,
      dismantler: this.#dismantler,
      pauses: this.#pauses,
    });
  }

  /** Begins to hear of exits. Call once. */
  watchExits(): void {
    this.#exits.watch();
  }

  get(id: string): ContainerRecord {
    return this.#visible(this.#containers.get(id), id);
  }

  find(id: string): ContainerRecord | undefined {
    const record = this.#containers.find(id);
    return record?.state === 'creating' ? undefined : record;
  }

  list(): ContainerRecord[] {
    return this.#containers.list().filter((record) => record.state !== 'creating');
  }

  listOf(sandboxId: SandboxId): ContainerRecord[] {
    return this.#containers.listGroup(sandboxId);
  }

  /** Settles when the container's exit is recorded; at once for one that has exited or is gone. */
  whenExited(id: ContainerId): Promise<void> {
    return this.#exits.whenExited(id);
  }

  isImageInUse(id: ImageId): boolean {
    return this.#containers
      .list()
      .some(
        (record) =>
          record.imageId === id ||
          record.config.mounts.some(
            (mount) => mount.image && this.#options.images.find(mount.image.image)?.id === id,
          ),
      );
  }

  #visible(record: ContainerRecord, id: string): ContainerRecord {
    if (record.state === 'creating') throw new RuntimeError('NotFound', `container ${id} does not exist yet`);
    return record;
  }

  /** `source` is a checkpoint to go on from, beside those that a request can name as its image. */
  async create(
    sandboxId: string,
    config: ContainerConfig,
    signal: AbortSignal,
    source?: RestoreSource,
  ): Promise<ContainerId> {
    const sandbox = this.#options.sandboxes.get(sandboxId);
    const key = `${sandbox.id}/${config.metadata.name}/${config.metadata.attempt}`;
    const wanted = source ? [config, source] : config;
    // Only the same request is joined; another one under the name waits, and finds the name taken.
    return this.#flights.run(`${key} ${JSON.stringify(wanted)}`, signal, (flightSignal) =>
      this.#lock.run(`name ${key}`, () => this.#createNamed(sandbox.id, config, flightSignal, source)),
    );
  }

  async #createNamed(
    sandboxId: SandboxId,
    config: ContainerConfig,
    signal: AbortSignal,
    source: RestoreSource | undefined,
  ): Promise<ContainerId> {
    throwIfAborted(signal, 'creating a container');
    const holder = this.listOf(sandboxId).find(
      (record) =>
        record.config.metadata.name === config.metadata.name &&
        record.config.metadata.attempt === config.metadata.attempt,
    );
    if (holder) {
      // A client that timed out asks again: what its first request made is the answer.
      if (holder.state === 'created' && isSameRequest(holder.config, config)) return holder.id;
      throw new RuntimeError(
        'AlreadyExists',
        `container ${config.metadata.name} attempt ${config.metadata.attempt} of sandbox ${sandboxId} exists: ${holder.id} (${holder.state})`,
      );
    }
    const id = randomBytes(32).toString('hex') as ContainerId;
    const work = this.#createReady(id, sandboxId, config, signal, source);
    const pending = this.#creating.get(sandboxId) ?? new Set();
    this.#creating.set(sandboxId, pending);
    pending.add(work);
    try {
      return await work;
    } finally {
      pending.delete(work);
      if (pending.size === 0) this.#creating.delete(sandboxId);
    }
  }

  async #createReady(
    id: ContainerId,
    sandboxId: SandboxId,
    config: ContainerConfig,
    signal: AbortSignal,
    source: RestoreSource | undefined,
  ): Promise<ContainerId> {
    const sandbox = this.#options.sandboxes.get(sandboxId);
    if (sandbox.state !== 'ready' || sandbox.isRemoving)
      throw new RuntimeError(
        'FailedPrecondition',
        `sandbox ${sandboxId} is ${sandbox.isRemoving ? 'being removed' : sandbox.state}; containers need a ready one`,
      );
    if (config.security.isPrivileged && !sandbox.config.security.isPrivileged)
      throw new RuntimeError(
        'InvalidArgument',
        `container ${config.metadata.name} is privileged but sandbox ${sandboxId} is not`,
      );
    const { record, monitorExited } = await this.#creator.create(id, sandbox, config, signal, source);
    if (monitorExited) this.#exits.watchMonitor(record.id, monitorExited);
    this.#options.announcer.announce('created', id, sandboxId);
    const early = this.#options.exits.find(id);
    if (early) this.#exits.onExitFile(early);
    return id;
  }

  /**
   * Makes an exited container created again, in its sandbox, which is ready and whose lock the caller holds. Nothing happens
   * to one that is created. Throws NotFound, FailedPrecondition, and what creating throws; then it is exited as before.
   */
  async revive(id: ContainerId, signal: AbortSignal): Promise<void> {
    const { hooks, exits, paths, sandboxes, announcer } = this.#options;
    await this.#lock.run(`remove ${id}`, async () => {
      const record = this.#containers.getExact(id);
      if (record.state === 'created' && !record.isRemoving) return;
      if (record.state !== 'exited' || record.isRemoving)
        throw new RuntimeError(
          'FailedPrecondition',
          `container ${id} is ${record.isRemoving ? 'being removed' : record.state}; only an exited one can be revived`,
        );
      await this.#exits.whenSettled(id);
      await this.#dismantler.clearRuntime(id, record.handler, this.#exits.isReleased(id));
      await step('revive-container/clear', () => {
        this.#exits.forget(id);
        rmSync(join(paths.sockets, id), { force: true });
        exits.remove(id);
        removeBundle(paths.bundle(id), paths.rootfs(id));
      });
      // A plugin knows no second life: for it, this is another container.
      await hooks.during(() => hooks.removeContainer(record));
      const sandbox = sandboxes.getExact(record.sandboxId);
      const { monitorExited } = await this.#creator.revive(record, sandbox, signal);
      if (monitorExited) this.#exits.watchMonitor(id, monitorExited);
      announcer.announce('created', id, record.sandboxId);
      const early = exits.find(id);
      if (early) this.#exits.onExitFile(early);
    });
  }

  /**
   * Runs `work` while an exited container stays exited: nobody revives it, and a removal waits. The signal that `work` is given
   * is aborted with `signal`, and when the container is to be removed: a kubelet must not wait for a client that stands still.
   * Throws NotFound, FailedPrecondition.
   */
  async whileExited<T>(
    id: ContainerId,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const removal = new AbortController();
    const guests = this.#guests.get(id) ?? new Set();
    this.#guests.set(id, guests.add(removal));
    const either = AbortSignal.any([signal, removal.signal]);
    try {
      await this.#exits.whenSettled(id);
      return await this.#lock.run(`remove ${id}`, () => {
        throwIfAborted(either, `reaching container ${id}`);
        const record = this.#containers.getExact(id);
        if (record.state !== 'exited' || record.isRemoving)
          throw new RuntimeError('FailedPrecondition', `container ${id} is ${record.state} now; try again`);
        return work(either).catch((error) => {
          // It may have left its mount: a removal has to look.
          this.#exits.forget(id);
          throw error;
        });
      });
    } finally {
      guests.delete(removal);
      if (guests.size === 0) this.#guests.delete(id);
    }
  }

  /** Settles when no container of the sandbox is being created. New ones are refused once the sandbox is not ready. */
  async awaitCreations(sandboxId: SandboxId): Promise<void> {
    await Promise.allSettled(this.#creating.get(sandboxId) ?? []);
  }

  async start(idOrPrefix: string, signal: AbortSignal): Promise<void> {
    const { id } = this.get(idOrPrefix);
    // It may have been started as the last daemon ended.
    await this.#recovery.recover(id);
    await this.#lock.run(id, async () => {
      throwIfAborted(signal, `starting container ${id}`);
      const record = this.#containers.getExact(id);
      if (record.state !== 'created' || record.isRemoving)
        throw new RuntimeError(
          'FailedPrecondition',
          `container ${id} is ${record.state}; only a created one can be started`,
        );
      const sandbox = this.#options.sandboxes.getExact(record.sandboxId);
      if (sandbox.state !== 'ready')
        throw new RuntimeError('FailedPrecondition', `sandbox ${sandbox.id} of container ${id} is not ready`);
      await this.#options.hooks.during(() => this.#startCreated(record));
    });
  }

  async #startCreated(record: ContainerRecord): Promise<void> {
    const { hooks, handlers, announcer } = this.#options;
    const { id } = record;
    let startedAtNs = 0n;
    try {
      await hooks.startContainer(record);
      // Before, not after: the process may have ended when the OCI runtime comes back.
      startedAtNs = nowNs();
      await step('start-container/oci-start', () =>
        record.isRestoring ? this.#restore(record) : handlers.get(record.handler).start(id),
      );
    } catch (error) {
      this.#exits.recordExit(id, {
        exitCode: startFailedCode,
        atNs: nowNs(),
        reason: 'StartError',
        message: messageOf(error),
      });
      throw error;
    }
    const running = await step('start-container/record-running', () =>
      this.#containers.update(id, { state: 'running', startedAtNs }),
    );
    announcer.announce('started', id, record.sandboxId);
    await hooks.containerStarted(running);
  }

  /** CRIU makes the process and lets it run at once; from then on the container is like any other. */
  async #restore(record: ContainerRecord): Promise<void> {
    const { id, sandboxId } = record;
    const sandbox = this.#options.sandboxes.getExact(sandboxId);
    const { container, monitor, monitorExited } = await this.#creator.restore(record, sandbox);
    await step('restore-container/record', () =>
      this.#containers.update(id, { process: container, monitor, isRestoring: false }),
    );
    this.#exits.watchMonitor(id, monitorExited);
    await step('restore-container/remove-checkpoint', () => removeVolumes(this.#options.paths.restore(id)));
  }

  /** Runs `work` while the container, which may be gone, is not started, captured, updated by others, or recorded as exited. */
  whileUnchanged<T>(id: ContainerId, work: () => Promise<T>): Promise<T> {
    return this.#lock.run(id, work);
  }

  /**
   * Runs `work` on containers while none of them is started, updated by others, or recorded as exited. Throws NotFound,
   * and what `work` throws.
   */
  hold<T>(
    ids: readonly ContainerId[],
    work: (records: readonly ContainerRecord[]) => Promise<T>,
  ): Promise<T> {
    // In one order for all, so that two who hold several do not wait for each other.
    const [first, ...others] = ids.toSorted();
    if (first === undefined) return work([]);
    return this.#lock.run(first, () =>
      this.hold(others, (records) => work([this.#containers.getExact(first), ...records])),
    );
  }

  async stop(idOrPrefix: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
    const found = this.#containers.find(idOrPrefix);
    // What it is said to be may not be true yet. It is stopped whatever stands in the way of that.
    if (found?.state === 'created') await this.#recovery.recover(found.id).catch(() => {});
    const record = found && this.#containers.findExact(found.id);
    if (!record || record.state === 'creating' || record.state === 'created' || record.state === 'exited')
      return;
    await this.#end(record, timeoutMs, signal);
  }

  /** Kills a container in any state that has a process, and waits until its exit is recorded. */
  async kill(id: ContainerId, signal: AbortSignal): Promise<void> {
    const record = this.#containers.findExact(id);
    if (!record || record.state === 'exited' || record.state === 'creating') return;
    await this.#end(record, 0, signal);
  }

  /** Kills a container whose sandbox has no record, and says so as the reason of its exit. Throws when `signal` is aborted first. */
  async endLost(id: ContainerId, signal: AbortSignal): Promise<void> {
    await this.kill(id, signal);
    const { sandboxId } = this.#containers.getExact(id);
    this.#containers.update(id, {
      reason: 'SandboxLost',
      message: `sandbox ${sandboxId} of this container has no record any more, so the container was ended; remove it`,
    });
  }

  async #end(record: ContainerRecord, timeoutMs: number, signal: AbortSignal): Promise<void> {
    const { id } = record;
    if (!record.process || !isRunning(record.process)) this.#exits.exitGone(id);
    // What was found out just now is over already: nothing would tell of it again.
    if (this.#containers.findExact(id)?.state === 'exited') {
      await this.#exits.whenNoticed(id);
      return;
    }
    let task = this.#stops.get(id);
    if (!task) {
      const exited = this.#exits.whenExited(id);
      task = new StopTask({
        terminate: async () => {
          await step('stop-container/signal', () => this.sendSignal(id, signalNumber(record.stopSignal)));
          // What stands still takes no signal. A kill needs no more than the thaw that it makes itself.
          if (this.#containers.findExact(id)?.isPaused === true) await this.unpause(id);
        },
        kill: () => this.#attemptKill(id),
        exited,
        verify: () => this.#exits.exitGone(id),
      });
      this.#stops.set(id, task);
      exited.finally(() => this.#stops.delete(id));
    }
    await task.request(timeoutMs, signal);
    await this.#exits.whenNoticed(id);
  }

  /** A kill that fails is logged: the next one follows. */
  #attemptKill(id: ContainerId): void {
    step('stop-container/kill', () => this.#killAll(id)).catch((error) => {
      this.#log.warn({ containerId: id, err: error }, `killing a container failed: ${messageOf(error)}`);
    });
  }

  /** As `ContainerPauses.pause`. Throws NotFound too. */
  async pause(idOrPrefix: string): Promise<void> {
    await this.hold([this.get(idOrPrefix).id], ([record]) => this.#pauses.pause(record!));
  }

  /** As `ContainerPauses.unpause`. Throws NotFound too. */
  async unpause(idOrPrefix: string): Promise<void> {
    await this.hold([this.get(idOrPrefix).id], ([record]) => this.#pauses.unpause(record!));
  }

  /** Signals the container's first process, if it has one. */
  sendSignal(id: ContainerId, signal: number): void {
    const record = this.#containers.findExact(id);
    if (record?.process) signalProcess(record.process, signal);
  }

  #killAll(id: ContainerId): void {
    const record = this.#containers.findExact(id);
    if (!record?.process) return;
    signalProcess(record.process, sigkill);
    if (record.cgroupsPath !== '')
      thawGroup(this.#options.host.cgroupVersion, cgroupLocation(record.cgroupsPath));
    // Its death takes its PID namespace along only if it has one of its own.
    if (record.config.security.namespaces.pid !== 'container' && record.cgroupsPath !== '')
      killGroup(this.#options.host.cgroupVersion, cgroupLocation(record.cgroupsPath));
  }

  async remove(idOrPrefix: string, signal: AbortSignal): Promise<void> {
    const found = this.#containers.find(idOrPrefix);
    if (!found || found.state === 'creating') return;
    const { id } = found;
    await this.kill(id, signal);
    await this.#exits.whenSettled(id);
    for (const guest of this.#guests.get(id) ?? [])
      guest.abort(new RuntimeError('FailedPrecondition', `container ${id} is being removed`));
    await this.#lock.run(`remove ${id}`, async () => {
      // It may have been revived meanwhile.
      await this.kill(id, signal);
      await this.#exits.whenSettled(id);
      const record = this.#containers.findExact(id);
      if (!record) return;
      if (!record.isRemoving)
        await step('remove-container/record-removing', () =>
          this.#containers.update(id, { isRemoving: true }),
        );
      const { hooks } = this.#options;
      await hooks.during(async () => {
        await hooks.removeContainer(record);
        await this.dismantle(id, record.handler, this.#exits.isReleased(id));
        await step('remove-container/forget', () => this.#containers.remove(id));
      });
      this.#exits.forget(id);
      this.#options.announcer.announce('deleted', id, record.sandboxId);
    });
  }

  /** As `ContainerDismantler.dismantle`. */
  dismantle(id: ContainerId, handler: string, isReleased = false): Promise<void> {
    return this.#dismantler.dismantle(id, handler, isReleased);
  }

  async updateResources(idOrPrefix: string, resources: LinuxResources, signal: AbortSignal): Promise<void> {
    await this.#limits.update(this.get(idOrPrefix).id, resources, signal);
  }

  /** As `ContainerLimits.adjust`. */
  adjustResources(id: ContainerId, limits: Limits, signal?: AbortSignal): Promise<void> {
    return this.#limits.adjust(id, limits, signal);
  }

  async reopenLog(idOrPrefix: string, signal: AbortSignal): Promise<void> {
    const record = this.get(idOrPrefix);
    if (record.state !== 'running')
      throw new RuntimeError(
        'FailedPrecondition',
        `container ${record.id} is ${record.state}; only a running one has a log to reopen`,
      );
    const { logPath, monitor } = record;
    if (logPath === '') return;
    if (!monitor)
      throw new RuntimeError('FailedPrecondition', `container ${record.id} has no monitor that writes a log`);
    // One after the other: the monitor takes several lines that it reads at once for one, and inodes come again.
    await this.#lock.run(`log ${record.id}`, async () => {
      throwIfAborted(signal, `reopening the log of container ${record.id}`);
      const bundle = this.#options.paths.bundle(record.id);
      await step('reopen-log/reopen', () =>
        reopenLog({ bundle, logPath, monitor, timeoutMs: reopenTimeoutMs }, signal),
      );
    });
  }

  async execSync(
    idOrPrefix: string,
    command: readonly string[],
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<ExecSyncResult> {
    return this.#commands.run(this.get(idOrPrefix), command, timeoutMs, signal);
  }

  /** As `ContainerCommands.listProcesses`. */
  listProcesses(record: ContainerRecord): readonly number[] {
    return this.#commands.listProcesses(record);
  }

  /** As `ContainerCommands.endCommands`. */
  endCommands(record: ContainerRecord, files: readonly string[]): void {
    this.#commands.endCommands(record, files);
  }

  describe(idOrPrefix: string): Record<string, unknown> {
    const record = this.get(idOrPrefix);
    return {
      sandboxID: record.sandboxId,
      pid: record.process?.pid ?? 0,
      removing: record.isRemoving,
      snapshotKey: record.id,
      snapshotter: 'overlay',
      runtimeType: record.handler,
      privileged: record.config.security.isPrivileged,
      config: record.config,
      runtimeSpec: this.#dismantler.readSpec(record.id),
    };
  }

  /** As `ContainerRecovery.expect`. */
  expectRecovery(ids: readonly ContainerId[], isSameBoot: boolean): void {
    this.#recovery.expect(ids, isSameBoot);
  }

  /** As `ContainerRecovery.recover`. */
  recover(id: ContainerId): Promise<void> {
    return this.#recovery.recover(id);
  }
}
