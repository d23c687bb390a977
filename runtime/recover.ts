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
import type { SandboxId } from './sandbox/config.ts';
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
  // All that an earlier daemon left is noted before calls are served: what is made from then on is not of it.
  const found = {
    containers: containers.list().map(({ id }) => id),
    sandboxes: sandboxes.list().map(({ id }) => id),
    unknown: findUnknown(options),
    captures: list(join(options.paths.roots.root, 'captures'), /^[0-9a-f]{64}$/) as ContainerId[],
  };
  options.containerManager.expectRecovery(found.containers, options.isSameBoot);
  const work = recoverAll(options, found)
    .then(() => removeUnknown(found.unknown, log))
    // Checkpoints that nobody gathers any more; CRIU was waited for.
    .then(() => Promise.all(found.captures.map((id) => removeCapture(options, id))));
  const isDone = await Promise.race([work.then(() => true), delay(patienceMs, false, { ref: false })]);
  if (!isDone) log.warn('what was half made is still being undone; calls are served meanwhile');
  const settled = work
    .then(() => endLost(options))
    .then(() => payDebts(options))
    .then(() => collectNetworkGarbage(options));
  return { sandboxes: found.sandboxes.length, containers: found.containers.length, settled };
}

async function recoverAll(
  { containerManager, sandboxManager, log }: RecoveryOptions,
  found: { readonly containers: readonly ContainerId[]; readonly sandboxes: readonly SandboxId[] },
): Promise<void> {
  // Containers first: a half-made one holds namespaces of its sandbox.
  await Promise.all(
    found.containers.map((id) =>
      persist(
        () => containerManager.recover(id),
        (error) => {
          log.error({ containerId: id, err: error }, `recovering a container failed: ${messageOf(error)}`);
        },
      ),
    ),
  );
  await Promise.all(
    found.sandboxes.map((id) =>
      persist(
        () => sandboxManager.recover(id),
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

/** Something that no record names, and how it is removed. */
interface Unknown {
  readonly what: string;
  readonly id: string;
  readonly remove: () => Promise<void> | void;
}

/** What no record names: its owner was removed by half, or its record is lost. */
function findUnknown(options: RecoveryOptions): Unknown[] {
  const { paths, containers, sandboxes } = options;
  const { state, root } = paths.roots;
  const isKnown = (id: string) =>
    containers.findExact(id) !== undefined || sandboxes.findExact(id) !== undefined;
  const found: Unknown[] = [];
  const take = (what: string, directory: string, remove: (id: string) => Promise<void> | void): void => {
    for (const id of list(directory, /^[0-9a-f]{64}$/))
      if (!isKnown(id)) found.push({ what, id, remove: () => remove(id) });
  };
  take('a bundle', join(state, 'bundles'), (id) => options.containerManager.dismantle(id as ContainerId, ''));
  for (const handler of list(join(state, 'oci'), /./))
    take('a container of an OCI runtime', join(state, 'oci', handler), (id) =>
      options.containerManager.dismantle(id as ContainerId, handler),
    );
  take('the files of a sandbox', join(state, 'sandboxes'), (id) => removeSandboxFiles(paths.sandbox(id)));
  take('volumes', join(root, 'volumes'), (id) => removeVolumes(paths.volumes(id)));
  take('a checkpoint to restore', join(root, 'restores'), (id) => removeVolumes(paths.restore(id)));
  take('an exit file', paths.exits, (id) => rmSync(paths.exitFile(id), { force: true }));
  take('an attach link', paths.sockets, (id) => rmSync(join(paths.sockets, id), { force: true }));
  for (const name of list(paths.namespaces, /^[0-9a-f]{64}\.(ipc|uts|user)$/)) {
    const id = name.slice(0, 64);
    const remove = (): void => {
      unpinNamespace(join(paths.namespaces, name));
      unpinNamespace(paths.netns(id));
    };
    if (!isKnown(id)) found.push({ what: 'a pinned namespace', id, remove });
  }
  const mapped = new Set(sandboxes.list().map(({ id }) => id.slice(0, 16)));
  for (const prefix of list(join(state, 'm'), /^[0-9a-f]{16}$/))
    if (!mapped.has(prefix))
      found.push({
        what: 'mapped layers',
        id: prefix,
        remove: () => options.mappedLayers.release(prefix),
      });
  for (const key of options.snapshotter.listKeys()) {
    const id = /^(?:volume-)?([0-9a-f]{64})/.exec(key)?.[1];
    if (id !== undefined && !isKnown(id))
      found.push({ what: 'a snapshot', id: key, remove: () => options.snapshotter.remove(key) });
  }
  return [...found, ...findUnknownLogs(options)];
}

/** Logs of managed pods that are no more. */
function findUnknownLogs({ paths, sandboxes }: RecoveryOptions): Unknown[] {
  // A record that cannot be read may name any of them.
  if (sandboxes.list().some(({ state }) => state === 'unknown')) return [];
  const logFolders = new Set(sandboxes.list().map(({ config }) => resolve(config.logDirectory)));
  return list(paths.logs, /./)
    .map((name) => ({ name, folder: join(paths.logs, name) }))
    .filter(({ folder }) => !logFolders.has(folder))
    .map(({ name, folder }) => ({
      what: 'logs',
      id: name,
      remove: () => rmSync(folder, { recursive: true, force: true }),
    }));
}

/** One after the other: a bundle before what it stood on. */
async function removeUnknown(found: readonly Unknown[], log: Log): Promise<void> {
  for (const { what, id, remove } of found) {
    log.warn({ id }, `removing ${what} without a record`);
    await persist(
      () => step('recover/remove-unknown', remove),
      (error) => {
        log.error({ id, err: error }, `removing ${what} without a record failed: ${messageOf(error)}`);
      },
    );
  }
}

/** Pods do not wait for one that stays. Under the lock of a checkpoint, which uses the same folder and leaves nothing in it. */
function removeCapture({ paths, containerManager, log }: RecoveryOptions, id: ContainerId): Promise<void> {
  return persist(
    () =>
      containerManager.whileUnchanged(id, () =>
        step('recover/remove-capture', () => removeVolumes(paths.capture(id))),
      ),
    (error) => {
      log.error(
        { containerId: id, err: error },
        `removing an abandoned checkpoint failed: ${messageOf(error)}`,
      );
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
