/**
 * Start-up and recovery, which are the same: the records say what was intended, the kernel and the exit files say what is.
 * What was half made is undone; what ran on is taken up; what ended meanwhile is recorded so; what no record names is removed.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { persist } from '#base/persist.ts';
import { step } from '#base/step.ts';
import { ensurePrivateMount, unpinNamespace } from '#host/namespaces.ts';
import type { Snapshotter } from '#images/contract.ts';
import type { PodNetwork } from '#network/pod-network.ts';
import { hasCapture } from './checkpoint/freezer.ts';
import type { ContainerId } from './container/config.ts';
import type { CrunContainers } from './container/manager.ts';
import type { ContainerRecord } from './container/record.ts';
import { removeVolumes } from './container/volumes.ts';
import type { RuntimePaths } from './paths.ts';
import type { RecordStore } from './record-store.ts';
import { removeSandboxFiles } from './sandbox/files.ts';
import type { PinnedSandboxes } from './sandbox/manager.ts';
import type { SandboxRecord } from './sandbox/record.ts';
import type { MappedLayers } from './sandbox/user-namespace.ts';
import { endStrayExecs, endStrayPauses, endStrays, type StrayOptions } from './strays.ts';

/** The kernel's id of this boot (random(4)): processes of another boot are gone, whatever their pids say. */
export function currentBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}

export interface RecoveryOptions {
  readonly sandboxes: RecordStore<SandboxRecord>;
  readonly containers: RecordStore<ContainerRecord>;
  readonly sandboxManager: PinnedSandboxes;
  readonly containerManager: CrunContainers;
  readonly network: PodNetwork;
  readonly snapshotter: Snapshotter;
  readonly mappedLayers: MappedLayers;
  readonly paths: RuntimePaths;
  /** The programs that the daemon starts, to find those that outlived it at work. */
  readonly strays: Omit<StrayOptions, 'log'>;
  readonly isSameBoot: boolean;
  readonly log: Log;
}

export interface Recovered {
  readonly sandboxes: number;
  readonly containers: number;
  /** Settles when also the rest is done that calls need not wait for. Never rejects. */
  readonly settled: Promise<void>;
}

/** How long calls are held back for the undoing of half-made objects; a slow CNI plugin must not keep the node down. */
const patienceMs = 2000;

/** Makes the folders that everything below the state directory stands in. They may be entered by a pod's mapped root, but not read. */
export function makeFolders(paths: RuntimePaths): void {
  mkdirSync(paths.roots.state, { recursive: true, mode: 0o711 });
  for (const folder of [join(paths.roots.state, 'bundles'), join(paths.roots.state, 'sandboxes')])
    mkdirSync(folder, { recursive: true, mode: 0o711 });
  for (const folder of [paths.exits, paths.sockets]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  ensurePrivateMount(paths.namespaces);
  // Sockets that an exec with a terminal was about to use.
  rmSync(join(paths.roots.state, 'console'), { recursive: true, force: true });
}

/** Brings records and machine together; `makeFolders` comes before. One object that cannot be recovered never keeps the others from it. */
export async function recover(options: RecoveryOptions): Promise<Recovered> {
  const { containers, sandboxes, log } = options;
  const halfMade = new Set<string>([
    ...containers
      .list()
      .flatMap(({ id, state, isReviving }) => (state === 'creating' || isReviving ? [id] : [])),
    ...sandboxes
      .list()
      .flatMap(({ id, state, isReviving }) => (state === 'initializing' || isReviving ? [id] : [])),
  ]);
  // That it is to stand still is written down before and until after: no other container is being paused or let go on.
  const paused = new Set<string>(
    containers
      .list()
      .filter(({ id, isPaused }) => isPaused === true || hasCapture(options.paths.bundle(id)))
      .flatMap(({ id, state }) => (state === 'running' ? [id] : [])),
  );
  if (halfMade.size + paused.size > 0)
    await step('recover/end-strays', async () => {
      if (halfMade.size > 0) await endStrays({ ...options.strays, log }, halfMade);
      if (paused.size > 0) await endStrayPauses({ ...options.strays, log }, paused);
    });
  await endExecs(options);
  const captures = join(options.paths.roots.root, 'captures');
  const abandoned = list(captures, /./).map((name) => join(captures, name));
  const work = recoverAll(options)
    .then(() => sweep(options))
    // Checkpoints that nobody gathers any more; CRIU was waited for.
    .then(() => Promise.all(abandoned.map((path) => removeCapture(path, log))));
  const isDone = await Promise.race([work.then(() => true), delay(patienceMs, false, { ref: false })]);
  if (!isDone) log.warn('what was half made is still being undone; calls are served meanwhile');
  const settled = work
    .then(() => endLost(options))
    .then(() => payDebts(options))
    .then(() => collectNetworkGarbage(options));
  return { sandboxes: sandboxes.list().length, containers: containers.list().length, settled };
}

async function recoverAll(options: RecoveryOptions): Promise<void> {
  const { containers, sandboxes, containerManager, sandboxManager, log } = options;
  // Containers first: a half-made one holds namespaces of its sandbox.
  await Promise.all(
    containers.list().map(({ id }) =>
      persist(
        async () => {
          const record = containers.findExact(id);
          if (record) await containerManager.recover(record, options.isSameBoot);
        },
        (error) => {
          log.error({ containerId: id, err: error }, `recovering a container failed: ${messageOf(error)}`);
        },
      ),
    ),
  );
  await Promise.all(
    sandboxes.list().map(({ id }) =>
      persist(
        async () => {
          const record = sandboxes.findExact(id);
          if (record) await sandboxManager.recover(record);
        },
        (error) => {
          log.error({ sandboxId: id, err: error }, `recovering a sandbox failed: ${messageOf(error)}`);
        },
      ),
    ),
  );
}

/** Commands of ExecSync and Exec whose clients went with the daemon: they end, and their files go. */
async function endExecs({
  containers,
  containerManager,
  paths,
  strays,
  log,
}: RecoveryOptions): Promise<void> {
  const found = containers.list().flatMap((record) => {
    const bundle = paths.bundle(record.id);
    const files = list(bundle, /^exec-/).map((name) => join(bundle, name));
    return files.length === 0 ? [] : [{ record, files }];
  });
  if (found.length === 0) return;
  await step('recover/end-commands', async () => {
    // First those who start commands, then the commands themselves, some of which have no such parent.
    await endStrayExecs({ ...strays, log }, new Set(found.flatMap(({ files }) => files)));
    for (const { record, files } of found) {
      containerManager.endCommands(record, files);
      for (const file of files) rmSync(file, { force: true });
    }
  });
}

/** Removes what no record names: its owner was removed by half, or its record is lost. */
async function sweep(options: RecoveryOptions): Promise<void> {
  const { paths, log, containers, sandboxes } = options;
  const { state, root } = paths.roots;
  const isKnown = (id: string) =>
    containers.findExact(id) !== undefined || sandboxes.findExact(id) !== undefined;
  const unknown = (directory: string) => list(directory, /^[0-9a-f]{64}$/).filter((id) => !isKnown(id));
  const remove = async (what: string, id: string, work: () => Promise<void> | void) => {
    log.warn({ id }, `removing ${what} without a record`);
    await persist(
      () => step('recover/remove-unknown', work),
      (error) => {
        log.error({ id, err: error }, `removing ${what} without a record failed: ${messageOf(error)}`);
      },
    );
  };
  for (const id of unknown(join(state, 'bundles')))
    await remove('a bundle', id, () => options.containerManager.dismantle(id as ContainerId, ''));
  for (const handler of list(join(state, 'oci'), /./))
    for (const id of unknown(join(state, 'oci', handler)))
      await remove('a container of an OCI runtime', id, () =>
        options.containerManager.dismantle(id as ContainerId, handler),
      );
  for (const id of unknown(join(state, 'sandboxes')))
    await remove('the files of a sandbox', id, () => removeSandboxFiles(paths.sandbox(id)));
  for (const id of unknown(join(root, 'volumes')))
    await remove('volumes', id, () => removeVolumes(paths.volumes(id)));
  for (const id of unknown(join(root, 'restores')))
    await remove('a checkpoint to restore', id, () => removeVolumes(paths.restore(id)));
  const logFolders = new Set(sandboxes.list().map(({ config }) => resolve(config.logDirectory)));
  for (const name of list(paths.logs, /./)) {
    const folder = join(paths.logs, name);
    // A record that cannot be read may name any of them.
    if (sandboxes.list().every(({ state }) => state !== 'unknown') && !logFolders.has(folder))
      await remove('logs', name, () => rmSync(folder, { recursive: true, force: true }));
  }
  for (const id of unknown(paths.exits)) rmSync(paths.exitFile(id), { force: true });
  for (const id of unknown(paths.sockets)) rmSync(join(paths.sockets, id), { force: true });
  for (const name of list(paths.namespaces, /^[0-9a-f]{64}\.(ipc|uts|user)$/)) {
    const id = name.slice(0, 64);
    if (isKnown(id)) continue;
    await remove('a pinned namespace', id, () => {
      unpinNamespace(join(paths.namespaces, name));
      unpinNamespace(paths.netns(id));
    });
  }
  const mapped = new Set(sandboxes.list().map(({ id }) => id.slice(0, 16)));
  for (const prefix of list(join(state, 'm'), /^[0-9a-f]{16}$/))
    if (!mapped.has(prefix))
      await remove('mapped layers', prefix, () => options.mappedLayers.release(prefix));
  for (const key of options.snapshotter.listKeys()) {
    const id = /^(?:volume-)?([0-9a-f]{64})/.exec(key)?.[1];
    if (id !== undefined && !isKnown(id))
      await remove('a snapshot', key, () => options.snapshotter.remove(key));
  }
}

/** Pods do not wait for one that stays. */
function removeCapture(path: string, log: Log): Promise<void> {
  return persist(
    () => step('recover/remove-capture', () => removeVolumes(path)),
    (error) => {
      log.error({ path, err: error }, `removing an abandoned checkpoint failed: ${messageOf(error)}`);
    },
  );
}

/** How long the end of a lost container is waited for; it is tried on after that. */
const lostPatienceMs = 10_000;

/**
 * Containers that run in a sandbox of which no record is left: without its network, which goes back to others, and with nobody
 * to stop it as a pod. They are ended, and stay to be seen until a client removes them.
 */
async function endLost({ containers, sandboxes, containerManager, log }: RecoveryOptions): Promise<void> {
  const lost = containers
    .list()
    .filter(
      ({ state, sandboxId }) => state !== 'exited' && state !== 'creating' && !sandboxes.findExact(sandboxId),
    );
  await Promise.all(
    lost.map(async ({ id, sandboxId }) => {
      log.error({ containerId: id, sandboxId }, 'ending a container whose sandbox has no record');
      await persist(
        async () => {
          // It may have been removed since.
          if (containers.findExact(id))
            await step('recover/end-lost', () =>
              containerManager.endLost(id, AbortSignal.timeout(lostPatienceMs)),
            );
        },
        (error) => {
          log.error({ containerId: id, err: error }, `ending it failed: ${messageOf(error)}`);
        },
      );
    }),
  );
}

/** Pays what sandboxes without a record owe to the network. */
async function payDebts({ network, sandboxes, log }: RecoveryOptions): Promise<void> {
  for (const id of network.listDebts()) {
    if (sandboxes.findExact(id)) continue;
    log.warn({ sandboxId: id }, 'detaching a sandbox without a record from its network');
    await persist(
      () => step('recover/pay-debt', () => network.detach(id, '')),
      (error) => {
        log.error({ sandboxId: id, err: error }, `detaching it failed: ${messageOf(error)}`);
      },
    );
  }
}

async function collectNetworkGarbage({ network, log }: RecoveryOptions): Promise<void> {
  try {
    await network.collectGarbage();
  } catch (error) {
    log.warn({ err: error }, `the network plugins could not collect garbage: ${messageOf(error)}`);
  }
}

function list(directory: string, pattern: RegExp): string[] {
  try {
    return readdirSync(directory).filter((name) => pattern.test(name));
  } catch {
    return []; // nothing was ever made there since the boot
  }
}
