/**
 * Start-up and recovery, which are the same: the records say what was intended, the kernel and the exit files say what is.
 * What was half made is undone; what ran on is taken up; what ended meanwhile is recorded so.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { ensurePrivateMount } from '#host/namespaces.ts';
import type { ContainerId } from './container/config.ts';
import type { CrunContainers } from './container/manager.ts';
import type { ContainerRecord } from './container/record.ts';
import type { RuntimePaths } from './paths.ts';
import type { RecordStore } from './record-store.ts';
import type { PinnedSandboxes } from './sandbox/manager.ts';
import type { SandboxRecord } from './sandbox/record.ts';

/** The kernel's id of this boot (random(4)): processes of another boot are gone, whatever their pids say. */
export function currentBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}

export interface RecoveryOptions {
  readonly sandboxes: RecordStore<SandboxRecord>;
  readonly containers: RecordStore<ContainerRecord>;
  readonly sandboxManager: PinnedSandboxes;
  readonly containerManager: CrunContainers;
  readonly paths: RuntimePaths;
  readonly isSameBoot: boolean;
  readonly log: Log;
}

/** Makes the folders that everything below the state directory stands in. They may be entered by a pod's mapped root, but not read. */
function makeFolders(paths: RuntimePaths): void {
  mkdirSync(paths.roots.state, { recursive: true, mode: 0o711 });
  for (const folder of [join(paths.roots.state, 'bundles'), join(paths.roots.state, 'sandboxes')])
    mkdirSync(folder, { recursive: true, mode: 0o711 });
  for (const folder of [paths.exits, paths.sockets]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  ensurePrivateMount(paths.namespaces);
}

/** Brings records and machine together. One object that cannot be recovered never keeps the others from it. */
export async function recover(options: RecoveryOptions): Promise<{ sandboxes: number; containers: number }> {
  const { containers, sandboxes, containerManager, sandboxManager, log } = options;
  makeFolders(options.paths);
  await Promise.all(
    containers.list().map(async (record) => {
      try {
        if (record.state === 'creating') await undoCreation(options, record);
        else containerManager.recover(record, options.isSameBoot);
      } catch (error) {
        log.error(
          { containerId: record.id, err: error },
          `recovering a container failed: ${messageOf(error)}`,
        );
      }
    }),
  );
  await Promise.all(
    sandboxes.list().map((record) =>
      sandboxManager.recover(record).catch((error) => {
        log.error({ sandboxId: record.id, err: error }, `recovering a sandbox failed: ${messageOf(error)}`);
      }),
    ),
  );
  await sweepBundles(options);
  return { sandboxes: sandboxes.list().length, containers: containers.list().length };
}

async function undoCreation(options: RecoveryOptions, record: ContainerRecord): Promise<void> {
  await options.containerManager.dismantle(record.id, record.handler);
  options.containers.remove(record.id);
}

/** Bundles, sandbox folders and exit files that no record names: their owner was removed by half. */
async function sweepBundles(options: RecoveryOptions): Promise<void> {
  const { paths, log } = options;
  const isKnown = (id: string) =>
    options.containers.findExact(id) !== undefined || options.sandboxes.findExact(id) !== undefined;
  for (const id of listIds(join(paths.roots.state, 'bundles'))) {
    if (isKnown(id)) continue;
    log.warn({ containerId: id }, 'removing a bundle without a record');
    await options.containerManager.dismantle(id as ContainerId, '').catch((error) => {
      log.error(
        { containerId: id, err: error },
        `removing a bundle without a record failed: ${messageOf(error)}`,
      );
    });
  }
  for (const id of listIds(paths.exits)) if (!isKnown(id)) rmSync(join(paths.exits, id), { force: true });
}

function listIds(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => /^[0-9a-f]{64}$/.test(name));
  } catch {
    return []; // nothing was ever made there since the boot
  }
}
