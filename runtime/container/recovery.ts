/** Containers of an earlier daemon, taken up by facts. */
import { messageOf } from '#base/errors.ts';
import type { KeyedLock } from '#base/keyed-lock.ts';
import type { Log } from '#base/log.ts';
import { step } from '#base/step.ts';
import { nowNs } from '#host/clock.ts';
import { isRunning } from '#host/proc.ts';
import { dropCapture, hasCapture, thawLeftover } from '../checkpoint/freezer.ts';
import { awaitRestored } from '../checkpoint/restored.ts';
import type { HandlerTable } from '../handlers.ts';
import type { ExitFiles } from '../monitor/exit-files.ts';
import type { RuntimePaths } from '../paths.ts';
import type { RecordStore } from '../record-store.ts';
import type { HostFacts } from '../spec/inputs.ts';
import { clearOwnGroup } from './cgroup-location.ts';
import type { ContainerId } from './config.ts';
import type { ContainerDismantler } from './dismantle.ts';
import type { ContainerExits } from './exits.ts';
import type { ContainerPauses } from './pauses.ts';
import type { ContainerRecord } from './record.ts';
import { removeVolumes } from './volumes.ts';

export interface RecoveryOptions {
  readonly containers: RecordStore<ContainerRecord>;
  readonly handlers: HandlerTable;
  readonly exits: ExitFiles;
  readonly paths: RuntimePaths;
  readonly host: Pick<HostFacts, 'cgroupVersion'>;
  readonly log: Log;
}

/** What recovery shares with the lifecycle of the containers that are there already. */
interface Shared {
  readonly lock: KeyedLock;
  readonly exits: ContainerExits;
  readonly dismantler: ContainerDismantler;
  readonly pauses: ContainerPauses;
}

export class ContainerRecovery {
  readonly #options: RecoveryOptions;
  readonly #containers: RecordStore<ContainerRecord>;
  readonly #lock: KeyedLock;
  readonly #exits: ContainerExits;
  readonly #dismantler: ContainerDismantler;
  readonly #pauses: ContainerPauses;
  readonly #log: Log;
  /** Those that are not taken up yet. */
  readonly #pending = new Set<ContainerId>();
  readonly #flights = new Map<ContainerId, Promise<void>>();
  #isSameBoot = true;

  constructor(options: RecoveryOptions, { lock, exits, dismantler, pauses }: Shared) {
    this.#options = options;
    this.#containers = options.containers;
    this.#lock = lock;
    this.#exits = exits;
    this.#dismantler = dismantler;
    this.#pauses = pauses;
    this.#log = options.log;
  }

  /** Notes which containers are to be taken up. Call once, before calls are served. */
  expect(ids: readonly ContainerId[], isSameBoot: boolean): void {
    for (const id of ids) this.#pending.add(id);
    this.#isSameBoot = isSameBoot;
  }

  /**
   * Takes up a container that an earlier daemon left, from facts: the exit file, the process, the OCI runtime's own folder.
   * Its end is found now or heard of later. One that was being created is undone. Joined by all who ask meanwhile; does nothing
   * for one that is taken up, or that is gone. Throws what stands in the way; then it can be tried again.
   */
  recover(id: ContainerId): Promise<void> {
    if (!this.#pending.has(id)) return Promise.resolve();
    const known = this.#flights.get(id);
    if (known) return known;
    const flight = this.#takeUp(id)
      .then(() => {
        this.#pending.delete(id);
      })
      .finally(() => this.#flights.delete(id));
    this.#flights.set(id, flight);
    return flight;
  }

  async #takeUp(id: ContainerId): Promise<void> {
    const record = this.#containers.findExact(id);
    if (record?.state === 'creating') await this.#undoCreation(record);
    else if (record?.state === 'exited') await this.#lock.run(`remove ${id}`, () => this.#releaseExited(id));
    else if (record) await this.#takeUpMade(record);
  }

  async #undoCreation(record: ContainerRecord): Promise<void> {
    const { id, sandboxId } = record;
    const { name, attempt } = record.config.metadata;
    // Under the name's lock: the client may ask for the same container again meanwhile.
    await this.#lock.run(`name ${sandboxId}/${name}/${attempt}`, async () => {
      try {
        await step('recover/undo-container', async () => {
          await this.#dismantler.dismantle(id, record.handler);
          this.#containers.remove(id);
        });
      } catch (error) {
        this.#keepHalfMade(record, error);
      }
    });
  }

  /** The caller holds the lock under which a container is revived and removed. */
  async #releaseExited(id: ContainerId): Promise<void> {
    const record = this.#containers.findExact(id);
    if (record?.state !== 'exited') return; // a client was faster
    if (record.isReviving)
      await step('recover/undo-revival', async () => {
        await this.#dismantler.clearRuntime(id, record.handler, false);
        this.#options.exits.remove(id);
        this.#containers.update(id, { isReviving: false });
      });
    await step('recover/release-exited', () => this.#exits.recoverExited(record));
  }

  async #takeUpMade(found: ContainerRecord): Promise<void> {
    const { id, monitor, process } = found;
    const isSameBoot = this.#isSameBoot;
    await this.#dropCapture(found);
    const file = this.#options.exits.find(id);
    if (file) {
      this.#exits.onExitFile(file);
      return;
    }
    if (isSameBoot && found.isRestoring) {
      await this.#lock.run(id, () => this.#recoverRestoring(id));
      return;
    }
    if (isSameBoot && process && isRunning(process)) {
      // Under the lock of whoever starts, pauses or captures it: calls may be served meanwhile.
      await this.#lock.run(id, async () => {
        await this.#thaw(this.#containers.getExact(id));
        await this.#pauses.recover(this.#containers.getExact(id));
        await this.#recoverStarted(this.#containers.getExact(id), process.pid);
      });
      this.#exits.watchInheritedMonitor(found);
      return;
    }
    if (isSameBoot && monitor && isRunning(monitor)) {
      this.#exits.watchInheritedMonitor(found);
      this.#exits.hurryMonitor(id);
      return;
    }
    // What a damaged record was is for the client to see, and to end.
    if (found.state === 'unknown') return;
    await step('recover/record-lost', () =>
      this.#exits.recordLost(
        id,
        isSameBoot
          ? 'the container ended while no monitor watched it'
          : 'the node was rebooted while the container ran',
      ),
    );
  }

  /** What a checkpoint of a container that has ended since had half written. */
  async #dropCapture({ id, process }: ContainerRecord): Promise<void> {
    const bundle = this.#options.paths.bundle(id);
    if (!hasCapture(bundle) || (process && isRunning(process))) return;
    await this.#lock.run(id, () => step('recover/thaw', () => dropCapture(bundle)));
  }

  /** What cannot be undone is for the client to see, and to remove. */
  #keepHalfMade(record: ContainerRecord, error: unknown): void {
    const { id } = record;
    if (!this.#containers.findExact(id)) return; // it is gone after all
    this.#log.error(
      { containerId: id, err: error },
      `undoing a half-made container failed: ${messageOf(error)}`,
    );
    const message = `it was being created when the daemon ended, and could not be undone: ${messageOf(error)}; remove it`;
    this.#containers.put({ ...record, state: 'unknown', reason: 'CreateFailed', message });
  }

  /** One that waits for its start goes on to, also where the start was cut short; one that has begun to run is taken up. */
  async #recoverRestoring(id: ContainerId): Promise<void> {
    const { handlers, paths, host } = this.#options;
    const record = this.#containers.getExact(id);
    if (!record.isRestoring) return; // a client has started it
    const { sandboxId, handler, cgroupsPath } = record;
    const bundle = paths.bundle(id);
    const restored = await awaitRestored(bundle);
    if (!restored) {
      const runtime = handlers.owner(id, handler);
      if (runtime.holds(id))
        await step('recover/record-restored', async () => {
          await runtime.remove(id);
          await clearOwnGroup(host.cgroupVersion, id, cgroupsPath);
        });
      return;
    }
    const { container, monitor } = restored;
    await step('recover/record-restored', async () => {
      await removeVolumes(paths.restore(id));
      const running = this.#containers.update(id, {
        state: 'running',
        startedAtNs: nowNs(),
        process: container,
        monitor,
        isRestoring: false,
      });
      this.#exits.watchInheritedMonitor(running);
    });
    this.#log.info({ containerId: id, sandboxId }, 'the container was restored as the daemon ended');
  }

  /** A checkpoint that was being written when the daemon died left the container standing still. */
  async #thaw(record: ContainerRecord): Promise<void> {
    const { handlers, paths } = this.#options;
    const { id, process } = record;
    const handler = handlers.owner(id, record.handler);
    const bundle = paths.bundle(id);
    if (hasCapture(bundle))
      await step('recover/thaw', () => thawLeftover({ id, handler, bundle, process }, this.#log));
  }

  /** A start that was under way when the daemon died went on without it: the client must not start another one beside it. */
  async #recoverStarted({ id, sandboxId, handler, state }: ContainerRecord, pid: number): Promise<void> {
    const runtime = this.#options.handlers.owner(id, handler);
    if (state !== 'created' || !runtime.holds(id) || runtime.isWaitingForStart(id, pid)) return;
    await step('recover/record-started', async () => {
      runtime.finishStart(id);
      await removeVolumes(this.#options.paths.restore(id));
      this.#containers.update(id, { state: 'running', startedAtNs: nowNs() });
    });
    this.#log.info({ containerId: id, sandboxId }, 'the container was started as the daemon ended');
  }
}
