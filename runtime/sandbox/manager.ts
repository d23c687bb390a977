/**
 * The lifecycle of sandboxes. A sandbox is pinned namespaces and files, no process; see `record.ts` for its states.
 * Everything it has is found by its id alone, so that failure, removal and recovery clean up with the same steps.
 */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { messageOf, RuntimeError, throwIfAborted } from '#base/errors.ts';
import { KeyedLock } from '#base/keyed-lock.ts';
import type { Log } from '#base/log.ts';
import { hasNoNetwork, hostLinesOf, shmBytesOf } from '#base/managed-pod.ts';
import { SingleFlight } from '#base/single-flight.ts';
import { step } from '#base/step.ts';
import { UndoList } from '#base/undo.ts';
import { nowNs } from '#host/clock.ts';
import { isNamespacePin, type PinPrograms, pinNamespaces, unpinNamespace } from '#host/namespaces.ts';
import { isRunning, type ProcessIdentity } from '#host/proc.ts';
import { watchProcess } from '#host/process-watch.ts';
import type { PodNetwork } from '#network/pod-network.ts';
import type { Announcer } from '../announcer.ts';
import type { CrunContainers } from '../container/manager.ts';
import type { SandboxManager } from '../contract.ts';
import type { HandlerTable } from '../handlers.ts';
import type { LifecycleHooks } from '../lifecycle-hooks.ts';
import type { RuntimePaths } from '../paths.ts';
import type { RecordStore } from '../record-store.ts';
import { isSameRequest } from '../same-request.ts';
import { checkSandboxNamespaces } from '../spec/namespaces.ts';
import { sandboxSysctls, sysctlFile } from '../spec/sysctls.ts';
import type { LinuxResources, SandboxConfig, SandboxId } from './config.ts';
import { makeSandboxFiles, removeSandboxFiles, unmountShm } from './files.ts';
import type { ImageVolumes } from './image-volumes.ts';
import type { PidInit } from './pid-init.ts';
import type { SandboxRecord } from './record.ts';
import { checkUserNamespaceSupport, type MappedLayers, rootOwner } from './user-namespace.ts';

export interface SandboxManagerOptions {
  readonly sandboxes: RecordStore<SandboxRecord>;
  readonly containers: CrunContainers;
  readonly network: PodNetwork;
  readonly handlers: HandlerTable;
  readonly paths: RuntimePaths;
  readonly pidInit: PidInit;
  readonly imageVolumes: ImageVolumes;
  readonly mappedLayers: MappedLayers;
  readonly announcer: Announcer;
  readonly hooks: LifecycleHooks;
  readonly programs: PinPrograms;
  readonly nodeHostname: string;
  /** Throws InvalidArgument for a cgroup parent that the driver cannot take. */
  readonly checkCgroupParent: (parent: string) => void;
  readonly log: Log;
}

export class PinnedSandboxes implements SandboxManager {
  readonly #options: SandboxManagerOptions;
  readonly #sandboxes: RecordStore<SandboxRecord>;
  readonly #log: Log;
  readonly #lock = new KeyedLock();
  readonly #flights = new SingleFlight<SandboxId>();

  constructor(options: SandboxManagerOptions) {
    this.#options = options;
    this.#sandboxes = options.sandboxes;
    this.#log = options.log;
  }

  get(id: string): SandboxRecord {
    const record = this.#sandboxes.get(id);
    if (record.state === 'initializing')
      throw new RuntimeError('NotFound', `sandbox ${id} does not exist yet`);
    return record;
  }

  find(id: string): SandboxRecord | undefined {
    const record = this.#sandboxes.find(id);
    return record?.state === 'initializing' ? undefined : record;
  }

  list(): SandboxRecord[] {
    return this.#sandboxes.list().filter((record) => record.state !== 'initializing');
  }

  /** With `restoredFrom`, a checkpoint's path, the sandbox is new, and a daemon that finds it before `completeRestore` removes it. */
  async run(
    config: SandboxConfig,
    runtimeHandler: string,
    signal: AbortSignal,
    restoredFrom?: string,
  ): Promise<SandboxId> {
    const { name, namespace, uid, attempt } = config.metadata;
    const key = JSON.stringify([name, namespace, uid, attempt]);
    // Only the same request is joined; another one under the name waits, and finds the name taken.
    const flight = `${key} ${runtimeHandler} ${restoredFrom ?? ''} ${JSON.stringify(config)}`;
    return this.#flights.run(flight, signal, (flightSignal) =>
      this.#lock.run(`name ${key}`, () => this.#runNamed(config, runtimeHandler, flightSignal, restoredFrom)),
    );
  }

  async #runNamed(
    config: SandboxConfig,
    runtimeHandler: string,
    signal: AbortSignal,
    restoredFrom: string | undefined,
  ): Promise<SandboxId> {
    throwIfAborted(signal, 'running a sandbox');
    const holder = this.#sandboxes
      .list()
      .find((record) => isDeepStrictEqual(record.config.metadata, config.metadata));
    if (holder) {
      // A client that timed out asks again: what its first request made is the answer.
      const isSame =
        restoredFrom === undefined &&
        holder.isRestoring !== true &&
        holder.runtimeHandler === runtimeHandler &&
        isSameRequest(asked(holder.config), asked(config));
      if (holder.state === 'ready' && !holder.isRemoving && isSame) return holder.id;
      const { namespace, name, attempt } = config.metadata;
      throw new RuntimeError(
        'AlreadyExists',
        `sandbox of pod ${namespace}/${name} attempt ${attempt} exists: ${holder.id} (${holder.state}); remove it or ask with the next attempt`,
      );
    }
    checkSandboxNamespaces(config.security.namespaces);
    checkUserNamespaceSupport(config, this.#options.handlers.get(runtimeHandler));
    this.#options.checkCgroupParent(config.cgroupParent);
    const id = randomBytes(32).toString('hex') as SandboxId;
    const record = this.#newRecord(id, config, runtimeHandler);
    return this.#build(
      restoredFrom === undefined ? record : { ...record, restoredFrom, isRestoring: true },
      signal,
    );
  }

  /** Ends what `run` with `restoredFrom` began: the sandbox stays, whatever becomes of the daemon. */
  async completeRestore(id: SandboxId): Promise<void> {
    await step('restore-pod/record', () => this.#sandboxes.update(id, { isRestoring: false }));
  }

  #newRecord(id: SandboxId, config: SandboxConfig, runtimeHandler: string): SandboxRecord {
    const { paths } = this.#options;
    const { network, ipc } = config.security.namespaces;
    return {
      id,
      state: 'initializing',
      config,
      runtimeHandler,
      createdAtNs: nowNs(),
      ips: [],
      netnsPath: network === 'node' ? '' : paths.netns(id),
      // A host-network pod keeps the node's host name, and so its UTS namespace.
      utsnsPath: network === 'node' ? '' : paths.utsns(id),
      ipcnsPath: ipc === 'node' ? '' : paths.ipcns(id),
      usernsPath: config.security.namespaces.userns === undefined ? '' : paths.userns(id),
      init: undefined,
      cniResult: null,
      isRemoving: false,
    };
  }

  async #build(initial: SandboxRecord, signal: AbortSignal): Promise<SandboxId> {
    const { id } = initial;
    const { announcer } = this.#options;
    const undo = new UndoList(this.#log.child({ sandboxId: id }));
    undo.add('forget the record', () => this.#sandboxes.remove(id));
    await this.#furnish(initial, undo, signal);
    announcer.announce('created', id, id);
    announcer.announce('started', id, id);
    return id;
  }

  /** Writes the record and gives the sandbox all that it has. If a step fails, everything in `undo` is undone. */
  async #furnish(initial: SandboxRecord, undo: UndoList, signal: AbortSignal): Promise<void> {
    const { id, config } = initial;
    const { network, handlers, paths, pidInit } = this.#options;
    let record = initial;
    try {
      await step('run-sandbox/record', () => this.#sandboxes.put(initial));
      undo.add('remove the namespaces', () => this.#unpin(record));
      await step('run-sandbox/pin-namespaces', () => this.#pin(record, signal));
      if (record.netnsPath !== '' && !hasNoNetwork(config.labels, config.annotations)) {
        undo.add('detach the network', () => network.detach(id, record.netnsPath));
        const attached = await step('run-sandbox/attach-network', () =>
          network.attach(this.#networkRequest(record), signal),
        );
        record = await step('run-sandbox/record-network', () =>
          this.#sandboxes.update(id, { ips: attached.ips, cniResult: attached.raw }),
        );
      }
      undo.add('remove the files', () => removeSandboxFiles(paths.sandbox(id)));
      await step('run-sandbox/make-files', () =>
        makeSandboxFiles({
          directory: paths.sandbox(id),
          hostname: this.#hostnameOf(record),
          dns: config.dns,
          ownShm: record.ipcnsPath !== '',
          shmBytes: shmBytesOf(config.labels, config.annotations),
          hostLines: hostLinesOf(config.labels, config.annotations),
          owner: rootOwner(config),
        }),
      );
      if (config.security.namespaces.pid === 'pod') {
        const handler = handlers.get(record.runtimeHandler);
        undo.add('remove the init', () => pidInit.remove(id, record.init, handler));
        const init = await step('run-sandbox/start-init', () => pidInit.start(record, handler, signal));
        record = await step('run-sandbox/record-init', () => this.#sandboxes.update(id, { init }));
        this.#watchInit(id, init);
      }
      throwIfAborted(signal, `running sandbox ${id}`);
      record = await this.#makeReady(record, undo);
    } catch (error) {
      await this.#giveUp(record, undo, error);
      throw error;
    }
    undo.commit();
  }

  /**
   * Runs `work` while a sandbox is ready and stays so, after making it ready again if it was stopped: the same id, but new
   * namespaces and another address. Throws NotFound, FailedPrecondition, and what a step or `work` throws.
   */
  async whileReady<T>(idOrPrefix: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const { id } = this.get(idOrPrefix);
    return this.#lock.run(id, async () => {
      const record = this.#sandboxes.getExact(id);
      if (record.isRemoving) throw new RuntimeError('FailedPrecondition', `sandbox ${id} is being removed`);
      if (record.state !== 'ready') await this.#revive(record, signal);
      return work();
    });
  }

  async #revive(stopped: SandboxRecord, signal: AbortSignal): Promise<void> {
    const { hooks, paths, announcer } = this.#options;
    const { id } = stopped;
    // What a stop that failed, or a reboot, may have left.
    await this.#stopLocked(id, signal);
    await step('revive-sandbox/clear', () => removeSandboxFiles(paths.sandbox(id)));
    // A plugin knows no second life: for it, this is another sandbox.
    await hooks.during(() => hooks.removeSandbox(this.#sandboxes.getExact(id)));
    const undo = new UndoList(this.#log.child({ sandboxId: id }));
    undo.add('note that it is stopped', () => {
      this.#sandboxes.update(id, { state: 'notReady', ips: [], cniResult: null, isReviving: false });
    });
    const blank = { ...stopped, state: 'notReady', ips: [], cniResult: null, init: undefined } as const;
    await this.#furnish({ ...blank, isReviving: true }, undo, signal);
    announcer.announce('started', id, id);
    this.#log.info({ sandboxId: id }, 'sandbox is ready again');
  }

  /**
   * Stops or removes a sandbox if all its containers have exited, and removes on one whose removal has begun. Idempotent; an
   * unknown id succeeds.
   */
  async endIdle(id: SandboxId, ending: 'stop' | 'remove', signal: AbortSignal): Promise<void> {
    await this.#lock.run(id, async () => {
      const containers = this.#options.containers.listOf(id);
      const record = this.#sandboxes.findExact(id);
      const isIdle = containers.length > 0 && containers.every(({ state }) => state === 'exited');
      if (!record || !(isIdle || record.isRemoving)) return;
      if (ending === 'remove' || record.isRemoving) await this.#removeLocked(id, signal);
      else await this.#stopLocked(id, signal);
    });
  }

  /** Lets the hooks have their say and records that the sandbox is ready. */
  #makeReady(record: SandboxRecord, undo: UndoList): Promise<SandboxRecord> {
    const { hooks } = this.#options;
    undo.add('tell of its end', () =>
      hooks.during(async () => {
        await hooks.sandboxStopped(record);
        await hooks.removeSandbox(record);
      }),
    );
    return hooks.during(async () => {
      await hooks.runSandbox(record);
      return step('run-sandbox/record-ready', () =>
        this.#sandboxes.update(record.id, {
          state: 'ready',
          ...(record.isReviving ? { isReviving: false } : {}),
        }),
      );
    });
  }

  /** Undoes a failed creation; what could not be undone stays as a sandbox that is not ready, for Stop and Remove to finish. */
  async #giveUp(record: SandboxRecord, undo: UndoList, error: unknown): Promise<void> {
    const failures = await undo.run();
    if (failures.length === 0) return;
    this.#log.error(
      { sandboxId: record.id, err: error, left: failures.map((failure) => failure.name) },
      'a failed sandbox could not be undone; it stays as not ready until it is removed',
    );
    this.#sandboxes.put({ ...record, state: 'notReady' });
  }

  async #pin(record: SandboxRecord, signal: AbortSignal): Promise<void> {
    const { userns } = record.config.security.namespaces;
    await pinNamespaces(
      {
        ...(record.netnsPath === '' ? {} : { netPath: record.netnsPath }),
        ...(record.ipcnsPath === '' ? {} : { ipcPath: record.ipcnsPath }),
        ...(record.utsnsPath === '' ? {} : { utsPath: record.utsnsPath }),
        ...(userns === undefined
          ? {}
          : { user: { path: record.usernsPath, uids: userns.uids, gids: userns.gids } }),
        hostname: this.#hostnameOf(record),
        sysctls: Object.fromEntries(
          Object.entries(sandboxSysctls(record.config.sysctls, record.config.security.namespaces)).map(
            ([name, value]) => [sysctlFile(name), value],
          ),
        ),
      },
      this.#options.programs,
      signal,
    );
  }

  #unpin(record: SandboxRecord): void {
    unpinNamespace(record.netnsPath);
    unpinNamespace(record.ipcnsPath);
    unpinNamespace(record.utsnsPath);
    unpinNamespace(record.usernsPath);
  }

  #hostnameOf(record: SandboxRecord): string {
    const { nodeHostname } = this.#options;
    return record.utsnsPath === '' ? nodeHostname : record.config.hostname || nodeHostname;
  }

  #networkRequest(record: SandboxRecord) {
    const { config } = record;
    return {
      sandboxId: record.id,
      name: config.metadata.name,
      namespace: config.metadata.namespace,
      uid: config.metadata.uid,
      annotations: config.annotations,
      cgroupParent: config.cgroupParent,
      portMappings: config.portMappings,
      dns: config.dns,
      netnsPath: record.netnsPath,
    };
  }

  /** By the process itself, not by its monitor, which may die before it, and which a restarted daemon does not hear of. */
  #watchInit(id: SandboxId, init: ProcessIdentity): void {
    watchProcess(init).ended.then(() => {
      if (this.#sandboxes.findExact(id)?.state !== 'ready') return;
      this.#log.warn({ sandboxId: id }, 'the init of the sandbox died; the sandbox is not ready any more');
      this.#markNotReady(id);
    });
  }

  /** Disk, memory, announcement. Idempotent. */
  #markNotReady(id: SandboxId): void {
    const record = this.#sandboxes.findExact(id);
    if (!record || record.state === 'notReady') return;
    const wasReady = record.state === 'ready';
    this.#sandboxes.update(id, { state: 'notReady' });
    if (wasReady) this.#options.announcer.announce('stopped', id, id);
  }

  async stop(idOrPrefix: string, signal: AbortSignal): Promise<void> {
    const found = this.#sandboxes.find(idOrPrefix);
    if (!found || found.state === 'initializing') return;
    await this.#lock.run(found.id, () => this.#stopLocked(found.id, signal));
  }

  async #stopLocked(id: SandboxId, signal: AbortSignal): Promise<void> {
    const record = this.#sandboxes.findExact(id);
    if (!record) return;
    const { containers, network, pidInit, handlers, paths, imageVolumes, mappedLayers, hooks } =
      this.#options;
    // First the state, so that nothing new starts in it; the announcement comes with it.
    const before = record.state;
    await step('stop-sandbox/record', () => this.#markNotReady(id));
    await containers.awaitCreations(id);
    await step('stop-sandbox/kill-containers', async () =>
      throwFirst(
        await Promise.allSettled(
          containers.listOf(id).map((container) => containers.kill(container.id, signal)),
        ),
      ),
    );
    throwIfAborted(signal, `stopping sandbox ${id}`);
    await hooks.during(() => hooks.sandboxStopped(this.#sandboxes.findExact(id) ?? record));
    if (record.netnsPath !== '')
      await step('stop-sandbox/detach-network', () => network.detach(id, record.netnsPath));
    await step('stop-sandbox/remove-init', () =>
      pidInit.remove(id, record.init, handlers.owner(id, record.runtimeHandler)),
    );
    await step('stop-sandbox/unpin-namespaces', () => this.#unpin(record));
    await step('stop-sandbox/release-volumes', async () => {
      await imageVolumes.release(id);
      mappedLayers.release(id);
      unmountShm(paths.sandbox(id));
    });
    if (before === 'ready') this.#log.info({ sandboxId: id }, 'sandbox stopped');
  }

  async remove(idOrPrefix: string, signal: AbortSignal): Promise<void> {
    const found = this.#sandboxes.find(idOrPrefix);
    if (!found || found.state === 'initializing') return;
    await this.#lock.run(found.id, () => this.#removeLocked(found.id, signal));
  }

  async #removeLocked(id: SandboxId, signal: AbortSignal): Promise<void> {
    const record = this.#sandboxes.findExact(id);
    if (!record) return;
    await step('remove-sandbox/record-removing', () => this.#sandboxes.update(id, { isRemoving: true }));
    await this.#stopLocked(id, signal);
    const { containers, announcer, paths, hooks } = this.#options;
    await step('remove-sandbox/remove-containers', async () =>
      throwFirst(
        await Promise.allSettled(
          containers.listOf(id).map((container) => containers.remove(container.id, signal)),
        ),
      ),
    );
    await step('remove-sandbox/remove-files', () => {
      removeSandboxFiles(paths.sandbox(id));
      // A kubelet removes the logs of its pods itself; those of managed pods are the daemon's.
      const { logDirectory } = record.config;
      if (paths.isOwnLogFolder(logDirectory)) rmSync(logDirectory, { recursive: true, force: true });
    });
    await hooks.during(async () => {
      await hooks.removeSandbox(this.#sandboxes.getExact(id));
      await step('remove-sandbox/forget', () => this.#sandboxes.remove(id));
    });
    announcer.announce('deleted', id, id);
    this.#log.info({ sandboxId: id }, 'sandbox removed');
  }

  async updateResources(
    idOrPrefix: string,
    overhead: LinuxResources | undefined,
    resources: LinuxResources | undefined,
  ): Promise<void> {
    const { id } = this.get(idOrPrefix);
    const { hooks } = this.#options;
    await hooks.during(async () => {
      await hooks.updateSandbox(this.#sandboxes.getExact(id), overhead, resources);
      const { config } = this.#sandboxes.getExact(id);
      const updated = await step('update-sandbox/record', () =>
        this.#sandboxes.update(id, {
          config: {
            ...config,
            overhead: overhead ?? config.overhead,
            resources: resources ?? config.resources,
          },
        }),
      );
      await hooks.sandboxUpdated(updated);
    });
  }

  /**
   * Takes up a sandbox that an earlier daemon left. One that was being made is undone; one whose namespaces or init are gone
   * is not ready, and keeps its record until it is removed.
   */
  async recover(id: SandboxId): Promise<void> {
    const found = this.#sandboxes.findExact(id);
    if (found?.state === 'initializing') {
      const { name, namespace, uid, attempt } = found.config.metadata;
      // Under the name's lock: the client may ask for the same sandbox again meanwhile.
      await this.#lock.run(`name ${JSON.stringify([name, namespace, uid, attempt])}`, () =>
        this.#undoCreation(found),
      );
      return;
    }
    // Under the lock of stop, removal and revival, and as it is then: calls may be served meanwhile.
    await this.#lock.run(id, () => this.#takeUp(id));
  }

  async #takeUp(id: SandboxId): Promise<void> {
    const record = this.#sandboxes.findExact(id);
    if (!record) return;
    if (record.isRestoring) {
      this.#log.warn({ sandboxId: id }, 'removing a pod whose restore was cut short');
      await step('recover/remove-pod', () => this.#removeLocked(id, new AbortController().signal));
      return;
    }
    if (record.state === 'notReady' && record.isReviving) {
      await step('recover/undo-pod-revival', async () => {
        await this.#stopLocked(id, new AbortController().signal);
        this.#sandboxes.update(id, { isReviving: false });
      });
      return;
    }
    if (record.state !== 'ready') return;
    const pins = [record.netnsPath, record.ipcnsPath, record.utsnsPath, record.usernsPath].filter(
      (path) => path !== '',
    );
    if (pins.every(isNamespacePin) && (record.init === undefined || isRunning(record.init))) {
      if (record.init) this.#watchInit(id, record.init);
      return;
    }
    this.#log.warn({ sandboxId: id }, 'the namespaces of a sandbox are gone; it is not ready any more');
    await step('recover/lose-sandbox', () => this.#markNotReady(id));
    this.#payEarly(record);
  }

  /** Addresses of a pod that cannot come back are given back now; if that fails, stop does it and says why. Nobody waits for it. */
  #payEarly({ id, netnsPath }: SandboxRecord): void {
    if (isNamespacePin(netnsPath)) return;
    this.#lock
      .run(id, () => this.#options.network.detach(id, netnsPath))
      .catch((error) => {
        this.#log.warn(
          { sandboxId: id, err: error },
          `giving back the network of a lost sandbox failed, its stop tries again: ${messageOf(error)}`,
        );
      });
  }

  async #undoCreation(record: SandboxRecord): Promise<void> {
    const { network, pidInit, handlers, paths } = this.#options;
    const { id } = record;
    try {
      await step('recover/undo-sandbox', async () => {
        if (record.netnsPath !== '') await network.detach(id, record.netnsPath);
        await pidInit.remove(id, record.init, handlers.owner(id, record.runtimeHandler));
        removeSandboxFiles(paths.sandbox(id));
        this.#unpin(record);
        this.#sandboxes.remove(id);
      });
    } catch (error) {
      this.#log.error(
        { sandboxId: id, err: error },
        `undoing a half-made sandbox failed: ${messageOf(error)}`,
      );
      if (this.#sandboxes.findExact(id)) this.#sandboxes.put({ ...record, state: 'notReady' });
    }
  }
}

/** What a client asks for again after a time-out; resources may have been updated meanwhile. */
function asked(config: SandboxConfig): SandboxConfig {
  return { ...config, overhead: undefined, resources: undefined };
}

function throwFirst(results: readonly PromiseSettledResult<unknown>[]): void {
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
