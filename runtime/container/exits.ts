/**
 * How containers end, from whatever tells of it: the monitor's exit file, the monitor's own end, or the process being
 * gone. All ways lead to `recordExit`, which writes the record, announces, and gives back what an exited container needs no
 * more.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '#base/errors.ts';
import type { KeyedLock } from '#base/keyed-lock.ts';
import type { Log } from '#base/log.ts';
import { step } from '#base/step.ts';
import { countOomKills, groupDirectory } from '#host/cgroup.ts';
import { nowNs } from '#host/clock.ts';
import { awaitAdopted, type ExitStatus, hasUnclaimedEnd } from '#host/launch.ts';
import { unmountAll, unmountAllAside } from '#host/mount.ts';
import { OutOfMemoryLog } from '#host/out-of-memory-log.ts';
import { isRunning, parentOf, signalProcess } from '#host/proc.ts';
import { watchProcess } from '#host/process-watch.ts';
import type { Announcer } from '../announcer.ts';
import type { ExitFile } from '../monitor/exit-files.ts';
import type { RecordStore } from '../record-store.ts';
import { cgroupLocation } from './cgroup-location.ts';
import type { ContainerId } from './config.ts';
import type { CreatorOptions } from './create.ts';
import type { ContainerRecord } from './record.ts';

const sigkill = 9;
const exitLostCode = 255;
const exitRetryMs = 1000;
/** How long a monitor may take to write the exit code of a container that is gone. */
const monitorPatienceMs = 5000;

interface ExitWatch {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

export interface ContainerExitsOptions
  extends Pick<CreatorOptions, 'containers' | 'exits' | 'paths' | 'host' | 'handlers' | 'hooks' | 'log'> {
  readonly announcer: Announcer;
  /** The lock that start holds too, by container id. */
  readonly lock: KeyedLock;
}

export class ContainerExits {
  readonly #options: ContainerExitsOptions;
  readonly #containers: RecordStore<ContainerRecord>;
  readonly #log: Log;
  readonly #lock: KeyedLock;
  readonly #exitWatches = new Map<ContainerId, ExitWatch>();
  /** Exited containers of which the OCI runtime and the mount table hold nothing any more. */
  readonly #released = new Set<ContainerId>();
  /** Containers whose process is gone while the monitor lives: it is given some time to tell of the exit. */
  readonly #awaitingMonitor = new Set<ContainerId>();
  /** What is given back after an exit (runtime state, cgroup, mount), under way. */
  readonly #releases = new Map<ContainerId, Promise<void>>();
  /** Exits that the hooks are being told of. */
  readonly #stopNotices = new Map<ContainerId, Promise<void>>();
  readonly #outOfMemoryLog = new OutOfMemoryLog();

  constructor(options: ContainerExitsOptions) {
    this.#options = options;
    this.#containers = options.containers;
    this.#log = options.log;
    this.#lock = options.lock;
  }

  /** Begins to hear of exit files. Call once. */
  watch(): void {
    this.#options.exits.watch((exit) => this.onExitFile(exit));
  }

  /** Settles when the container's exit is recorded; at once for one that has exited or is gone. */
  whenExited(id: ContainerId): Promise<void> {
    const record = this.#containers.findExact(id);
    return record && record.state !== 'exited' ? this.#watchOf(id).promise : Promise.resolve();
  }

  /** Settles when the hooks have been told of the exit. */
  async whenNoticed(id: ContainerId): Promise<void> {
    await this.#stopNotices.get(id);
  }

  /** Settles when what follows an exit is over: hooks told, runtime state and mounts given back. */
  async whenSettled(id: ContainerId): Promise<void> {
    await Promise.all([this.#releases.get(id), this.#stopNotices.get(id)]);
  }

  /** Whether the OCI runtime and the mount table hold nothing of the container any more. */
  isReleased(id: ContainerId): boolean {
    return this.#released.has(id);
  }

  /** Forgets a container that is no more. */
  forget(id: ContainerId): void {
    this.#released.delete(id);
  }

  #watchOf(id: ContainerId): ExitWatch {
    let watch = this.#exitWatches.get(id);
    if (!watch) {
      let resolve: () => void = () => {};
      const promise = new Promise<void>((settle) => {
        resolve = settle;
      });
      watch = { promise, resolve };
      this.#exitWatches.set(id, watch);
    }
    return watch;
  }

  /** Hears of the end of a monitor that this daemon started. */
  watchMonitor(id: ContainerId, exited: Promise<ExitStatus>): void {
    exited.then(() => this.#onMonitorEnd(id));
  }

  /** The monitor of a container that an earlier daemon made: no child of this one, so no signal tells of its end. */
  watchInheritedMonitor(record: ContainerRecord): void {
    const { id, monitor } = record;
    if (monitor) watchProcess(monitor).ended.then(() => this.#onMonitorEnd(id));
    else this.#onMonitorEnd(id);
  }

  #onMonitorEnd(id: ContainerId): void {
    const record = this.#containers.findExact(id);
    if (!record || record.state === 'exited') return;
    const file = this.#options.exits.find(id);
    if (file) this.onExitFile(file);
    else this.#adopt(record);
  }

  /** The monitor died without a word. Its container is watched directly, so that its end is still seen. */
  #adopt(record: ContainerRecord): void {
    const { id, process: first } = record;
    if (!first) {
      this.exitGone(id);
      return;
    }
    this.#log.warn(
      { containerId: id, pid: first.pid },
      'the monitor died; its container is watched directly and its log has ended',
    );
    // The child of a monitor that this daemon started is now ours to reap; that of an earlier daemon's is the node's init's.
    const isOurs = parentOf(first.pid) === process.pid || hasUnclaimedEnd(first.pid);
    const ended: Promise<ExitStatus | undefined> = isOurs
      ? awaitAdopted(first.pid)
      : watchProcess(first).ended;
    ended.then((status) => {
      if (status) this.#onExit(id, status.type === 'exited' ? status.code : 128 + status.signal, nowNs());
      else this.exitGone(id);
    });
  }

  /** May be told of the same exit twice. */
  onExitFile(exit: ExitFile): void {
    this.#onExit(
      exit.containerId as ContainerId,
      exit.exitCode < 0 ? exitLostCode : exit.exitCode,
      exit.atNs,
    );
  }

  /** `words` say why, where the code does not. */
  #onExit(
    id: ContainerId,
    exitCode: number,
    atNs: bigint,
    words?: { readonly reason: string; readonly message: string },
  ): void {
    const record = this.#containers.findExact(id);
    if (!record || record.state === 'exited' || record.state === 'creating') return;
    // Behind a start under way: a short-lived process must be seen running before it is seen exited.
    const work = this.#lock.run(id, async () => {
      const current = this.#containers.findExact(id);
      if (!current || current.state === 'exited') return;
      await step('stop-container/record-exit', () =>
        this.recordExit(id, { exitCode, atNs, ...(words ?? this.#judge(current, exitCode)) }),
      );
    });
    work.catch((error) => {
      // A full disk, for one. Others who ask about the container may come first; then nothing is left to do.
      this.#log.error({ containerId: id, err: error }, `recording an exit failed: ${messageOf(error)}`);
      setTimeout(() => this.#onExit(id, exitCode, atNs, words), exitRetryMs).unref();
    });
  }

  /** For a process that is gone: its exit file tells the code, or it is lost. */
  exitGone(id: ContainerId): void {
    const record = this.#containers.findExact(id);
    if (!record || record.state === 'exited' || (record.process && isRunning(record.process))) return;
    const file = this.#options.exits.find(id);
    if (file) {
      this.onExitFile(file);
      return;
    }
    if (record.monitor && isRunning(record.monitor)) {
      this.hurryMonitor(id);
      return; // it is about to write the file
    }
    this.#onExit(id, exitLostCode, nowNs(), {
      reason: 'Unknown',
      message: 'the container and its monitor are gone and left no exit code',
    });
  }

  /** Kills a monitor that does not tell of its container's end within a while; its own end is watched, and tells. */
  hurryMonitor(id: ContainerId): void {
    if (this.#awaitingMonitor.has(id)) return;
    this.#awaitingMonitor.add(id);
    setTimeout(() => {
      this.#awaitingMonitor.delete(id);
      const record = this.#containers.findExact(id);
      if (!record?.monitor || record.state === 'exited') return;
      if (this.#options.exits.find(id)) {
        this.exitGone(id);
        return;
      }
      this.#log.warn({ containerId: id }, 'a container is gone and its monitor does not tell how: killed');
      signalProcess(record.monitor, sigkill);
    }, monitorPatienceMs).unref();
  }

  #judge(record: ContainerRecord, exitCode: number): { reason: string; message: string } {
    if (exitCode === 0) return { reason: 'Completed', message: '' };
    const wasOutOfMemory =
      existsSync(join(this.#options.paths.bundle(record.id), 'oom')) ||
      (record.cgroupsPath !== '' && this.#wasKilledForMemory(record));
    return { reason: wasOutOfMemory ? 'OOMKilled' : 'Error', message: '' };
  }

  #wasKilledForMemory({ id, cgroupsPath, process }: ContainerRecord): boolean {
    const { cgroupVersion } = this.#options.host;
    const group = cgroupLocation(cgroupsPath);
    if (countOomKills(cgroupVersion, group) > 0) return true;
    if (existsSync(groupDirectory(cgroupVersion, 'memory', group))) return false;
    // systemd has removed the scope, perhaps before the monitor could look: the kernel's log remembers.
    return this.#outOfMemoryLog.hasKilled(id, process);
  }

  /** Writes, announces and gives back, in this order. Idempotent. */
  recordExit(
    id: ContainerId,
    exit: { exitCode: number; atNs: bigint; reason: string; message: string },
  ): void {
    const record = this.#containers.getExact(id);
    if (record.state === 'exited') return;
    const exited = this.#containers.put({
      ...record,
      state: 'exited',
      exitCode: exit.exitCode,
      // The time of a file lags behind the clock by some milliseconds.
      finishedAtNs: exit.atNs > record.startedAtNs ? exit.atNs : record.startedAtNs + 1n,
      reason: exit.reason,
      message: exit.message,
    });
    this.#log.info(
      { containerId: id, sandboxId: record.sandboxId, exitCode: exit.exitCode, reason: exit.reason },
      'container exited',
    );
    this.#options.announcer.announce('stopped', id, record.sandboxId);
    const { hooks } = this.#options;
    const notice = hooks
      .during(() => hooks.containerStopped(exited))
      .finally(() => this.#stopNotices.delete(id));
    this.#stopNotices.set(id, notice);
    this.#watchOf(id).resolve();
    this.#exitWatches.delete(id);
    this.startRelease(id);
  }

  startRelease(id: ContainerId): void {
    const release = this.#release(id).finally(() => {
      if (this.#releases.get(id) === release) this.#releases.delete(id);
    });
    this.#releases.set(id, release);
  }

  /** Gives back what an exited container needs no more. A failure is logged: remove tries again and reports it. */
  async #release(id: ContainerId): Promise<void> {
    const record = this.#containers.findExact(id);
    if (!record) return;
    try {
      await step('stop-container/release', async () => {
        await this.#options.handlers.owner(id, record.handler).remove(id);
        await unmountAllAside(this.#options.paths.rootfs(id));
      });
      this.#released.add(id);
    } catch (error) {
      this.#log.warn(
        { containerId: id, err: error },
        'clean-up after an exit failed; removing the container tries again',
      );
    }
  }

  /** What an exited container should have given back, if an earlier daemon did not come to it. */
  recoverExited({ id, handler }: ContainerRecord): void {
    unmountAll(this.#options.paths.rootfs(id));
    if (this.#options.handlers.owner(id, handler).holds(id)) this.startRelease(id);
    else this.#released.add(id);
  }

  /** For a process that ended while nobody watched it, with no exit file to tell the code. */
  recordLost(id: ContainerId, message: string): void {
    this.recordExit(id, { exitCode: exitLostCode, atNs: nowNs(), reason: 'Unknown', message });
  }
}
