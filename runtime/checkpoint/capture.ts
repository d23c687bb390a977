/** What is written of one container while it stands still: CRIU's images, and everything that a restore needs beside them. */
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { abortLater } from '#base/abort.ts';
import { errnoOf, RuntimeError, throwIfAborted } from '#base/errors.ts';
import { step } from '#base/step.ts';
import { run, succeeded } from '#host/launch.ts';
import type { Snapshotter } from '#images/contract.ts';
import type { ContainerRecord } from '../container/record.ts';
import type { CliRuntime } from '../oci/cli-runtime.ts';
import type { RuntimePaths } from '../paths.ts';
import type { SandboxRecord } from '../sandbox/record.ts';
import { cleanPath } from '../spec/mounts.ts';
import type { OciSpec } from '../spec/oci-spec.ts';
import { type BindMountDump, type ConfigDump, checkpointFiles } from './archive-files.ts';
import { withCriuWords } from './criu-log.ts';
import { listChanges } from './rootfs-diff.ts';
import { writeTar } from './tar.ts';

/**
 * How long after its deadline a dump may still go on before it is killed. It puts code of its own into the container's
 * processes and takes it out at the end: killed before that, it may leave them broken.
 */
const overtimeMs = 10_000;

/** As Go writes the time that is none. */
const noTime = '0001-01-01T00:00:00Z';

export interface CaptureParts {
  readonly record: ContainerRecord;
  readonly handler: CliRuntime;
  readonly searchPath: string;
  readonly paths: RuntimePaths;
  readonly snapshotter: Snapshotter;
}

/**
 * Throws FailedPrecondition for a container that cannot be captured, saying why: its root file system is no
 * overlay; it has a user namespace, shares its PIDs with others, or has a terminal, which nobody could restore.
 */
export function checkCapturable(
  record: ContainerRecord,
  sandbox: SandboxRecord,
  snapshotter: Snapshotter,
): void {
  const { id } = record;
  const refuse = (problem: string): RuntimeError =>
    new RuntimeError('FailedPrecondition', `container ${id} cannot be checkpointed: ${problem}`);
  if (sandbox.usernsPath !== '') throw refuse('its pod has a user namespace');
  if (record.config.security.namespaces.pid !== 'container')
    throw refuse('it shares a PID namespace with other processes');
  if (record.config.hasTty) throw refuse('it has a terminal');
  if (!isOverlay(snapshotter, id)) throw refuse('its root file system is no overlay (images.snapshotter)');
}

function isOverlay(snapshotter: Snapshotter, id: string): boolean {
  const snapshot = snapshotter.find(id);
  return snapshot?.upperDir !== undefined && snapshot.mount.type === 'overlay';
}

/** The spec as the OCI runtime has it. */
function readSpec(bundle: string): OciSpec {
  return JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')) as OciSpec;
}

/**
 * Writes the state of a paused container into the empty folder `folder`. After `limit` has passed the dump is let come to its end,
 * within reason, and the call throws. Throws Internal with CRIU's words, DeadlineExceeded, Canceled.
 */
export async function capture(parts: CaptureParts, folder: string, limit: AbortSignal): Promise<void> {
  const { record, handler, paths } = parts;
  const { id } = record;
  const attempted = `checkpointing container ${id}`;
  throwIfAborted(limit, attempted);
  const bundle = paths.bundle(id);
  const imagePath = join(folder, checkpointFiles.images);
  const workPath = join(folder, 'work');
  await step('checkpoint-container/dump', () => {
    for (const path of [imagePath, workPath]) mkdirSync(path, { mode: 0o700 });
    return dump(parts, { imagePath, workPath }, limit);
  });
  throwIfAborted(limit, attempted);
  const spec = readSpec(bundle);
  await step('checkpoint-container/save-files', async () => {
    keepLogs(folder, imagePath, workPath);
    await captureFiles(parts, spec, folder, limit);
  });
  await step('checkpoint-container/describe', () => {
    const write = (name: string, content: unknown): void =>
      writeFileSync(join(folder, name), `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600 });
    write(checkpointFiles.spec, spec);
    write(checkpointFiles.config, describeContainer(record, handler));
    write(checkpointFiles.bindMounts, bindMounts(spec));
  });
}

/** What CRIU said of the dump stands at the top, not among its images. */
function keepLogs(folder: string, imagePath: string, workPath: string): void {
  for (const [from, to] of [
    ['dump.log', checkpointFiles.dumpLog],
    ['stats-dump', checkpointFiles.dumpStatistics],
  ] as const)
    copyIfThere([join(workPath, from), join(imagePath, from)], join(folder, to));
  rmSync(workPath, { recursive: true, force: true });
  rmSync(join(imagePath, 'dump.log'), { force: true });
}

async function dump(
  { record, handler, searchPath }: CaptureParts,
  folders: { imagePath: string; workPath: string },
  limit: AbortSignal,
): Promise<void> {
  const overtime = abortLater(limit, overtimeMs);
  try {
    await handler.checkpoint(record.id, { ...folders, searchPath }, overtime.signal);
  } catch (error) {
    throw withCriuWords(error, [
      join(folders.workPath, checkpointFiles.dumpLog),
      join(folders.imagePath, checkpointFiles.dumpLog),
    ]);
  } finally {
    overtime.end();
  }
}

function copyIfThere(sources: readonly string[], target: string): void {
  for (const source of sources) {
    try {
      copyFileSync(source, target);
      return;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
}

/** What the container wrote: into its root file system, and into its anonymous volumes. */
async function captureFiles(
  { record, paths, snapshotter }: CaptureParts,
  spec: OciSpec,
  folder: string,
  limit: AbortSignal,
): Promise<void> {
  const snapshot = snapshotter.find(record.id);
  const upperDir = snapshot?.upperDir;
  if (!snapshot || upperDir === undefined)
    throw new RuntimeError('Internal', `checkpointing container ${record.id}: its snapshot is not there`);
  const targets = new Set((spec.mounts ?? []).map((mount) => cleanPath(mount.destination)));
  const { changed, deleted } = await listChanges({ ...snapshot, upperDir }, targets);
  if (changed.length > 0)
    await writeTar(join(folder, checkpointFiles.rootfsDiff), upperDir, changed, true, limit);
  if (deleted.length > 0)
    writeFileSync(join(folder, checkpointFiles.deletedFiles), `${JSON.stringify(deleted)}\n`, {
      mode: 0o600,
    });
  const volumes = paths.volumes(record.id);
  if (statSync(volumes, { throwIfNoEntry: false }))
    await copyTree(volumes, join(folder, checkpointFiles.volumes), limit);
}

/** Copies a folder with all that files have. Throws Internal, Canceled. */
export async function copyTree(source: string, target: string, signal: AbortSignal): Promise<void> {
  const result = await run({
    path: '/bin/cp',
    args: ['-a', '--reflink=auto', '--no-target-directory', '--', source, target],
    signal,
  });
  if (!succeeded(result.status))
    throw new RuntimeError(
      'Internal',
      `copying ${source} to ${target}: ${result.stderr.toString().trim().split('\n')[0]}`,
    );
}

function isoTime(ns: bigint): string {
  return new Date(Number(ns / 1_000_000n)).toISOString();
}

function describeContainer(record: ContainerRecord, handler: CliRuntime): ConfigDump {
  return {
    id: record.id,
    name: record.config.metadata.name,
    rootfsImage: record.config.image.userSpecifiedImage || record.config.image.image,
    rootfsImageRef: record.imageId,
    rootfsImageName: record.imageName,
    runtime: handler.type,
    createdTime: isoTime(record.createdAtNs),
    checkpointedTime: new Date().toISOString(),
    restoredTime: noTime,
    restored: false,
  };
}

function bindMounts(spec: OciSpec): BindMountDump[] {
  return (spec.mounts ?? []).flatMap((mount) => {
    const stat = mount.type === 'bind' ? statSync(mount.source ?? '', { throwIfNoEntry: false }) : undefined;
    if (!stat) return [];
    const file_type = stat.isDirectory() ? 'directory' : 'file';
    return [
      {
        source: mount.source ?? '',
        destination: mount.destination,
        file_type,
        permissions: stat.mode & 0o7777,
      } as const,
    ];
  });
}
