/** Containers of an earlier daemon, taken up by facts. */
import { messageOf } from '#base/errors.ts';
import type { KeyedLock } from '#base/keyed-lock.ts';
import type { Log } from '#base/log.ts';
import { step } from '#base/step.ts';
import { nowNs } from '#host/clock.ts';
import { isRunning } from '#host/proc.ts';
import { hasCapture, thawLeftover } from '../checkpoint/freezer.ts';
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
  /** Those that are not taken up yet, each with whether the node was not rebooted since. */
  readonly #pending = new Map<ContainerId, boolean>();

  constructor(options: RecoveryOptions, { lock, exits, dismantler, pauses }: Shared) {
    this.#options = options;
    this.#containers = options.containers;
    this.#lock = lock;
    this.#exits = exits;
    this.#dismantler = dismantler;
    this.#pauses = pauses;
    this.#log = options.log;
  }

  /**
   * Takes up a container that an earlier daemon left, from facts: the exit file, the process, the OCI runtime's own folder.
   * Its end is found now or heard of later. One that was being created is undone.
   */
  async recover(record: ContainerRecord, isSameBoot: boolean): Promise<void> {
    const { id } = record;
    this.#pending.set(id, isSameBoot);
    await this.#recover(record, isSameBoot);
    this.#pending.delete(id);
  }

  /**
   * Takes up a container now of which that has failed so far: before it is started, for it may have been already. Throws
   * what stands in the way.
   */
  async ensure(id: ContainerId): Promise<void> {
    const isSameBoot = this.#pending.get(id);
    const record = this.#containers.findExact(id);
    if (isSameBoot !== undefined && record) await this.recover(record, isSameBoot);
  }

  async #recover(record: ContainerRecord, isSameBoot: boolean): Promise<void> {
    const { id, state } = record;
    if (state === 'creating') {
      const { name, attempt } = record.config.metadata;
      // Under the name's lock: the client may ask for the same container again meanwhile.
      await this.#lock.run(`name ${record.sandboxId}/${name}/${attempt}`, async () => {
        try {
          await step('recover/undo-container', async () => {
            await this.#dismantler.dismantle(id, record.handler);
            this.#containers.remove(id);
          });
        } catch (error) {
          this.#keepHalfMade(record, error);
        }
      });
      return;
    }
    if (state === 'exited') {
      if (record.isReviving) {
        await step('recover/undo-revival', async () => {
          await this.#dismantler.clearRuntime(id, record.handler, false);
          this.#options.exits.remove(id);
          this.#containers.update(id, { isReviving: false });
        });
      }
      await step('recover/release-exited', () => this.#exits.recoverExited(record));
      return;
    }
    const file = this.#options.exits.find(id);
    if (file) {
      this.#exits.onExitFile(file);
      return;
    }
    if (isSameBoot && record.isRestoring) {
      await this.#lock.run(id, () => this.#recoverRestoring(record));
      return;
    }
    if (isSameBoot && record.process && isRunning(record.process)) {
      await this.#thaw(record);
      // Calls may be served meanwhile, and pause it.
      await this.#lock.run(id, () => this.#pauses.recover(this.#containers.getExact(id)));
      await this.#recoverStarted(record, record.process.pid);
      this.#exits.watchInheritedMonitor(record);
      return;
    }
    if (isSameBoot && record.monitor && isRunning(record.monitor)) {
      this.#exits.watchInheritedMonitor(record);
      this.#exits.hurryMonitor(id);
      return;
    }
    // What a damaged record was is for the client to see, and to end.
    if (state === 'unknown') return;
    await step('recover/record-lost', () =>
      this.#exits.recordLost(
        id,
        isSameBoot
          ? 'the container ended while no monitor watched it'
          : 'the node was rebooted while the container ran',
      ),
    );
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
  async #recoverRestoring(record: ContainerRecord): Promise<void> {
    const { handlers, paths, host } = this.#options;
    const { id, sandboxId, handler, cgroupsPath } = record;
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
