/**
 * Files of a container from outside. Of a running one they are seen as it sees them, its mounts too; of a stopped one, its
 * writable layer over its image, without mounts.
 */
import { closeSync, constants, mkdirSync, openSync } from 'node:fs';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { orAborted } from '#base/abort.ts';
import { errnoOf, isRuntimeError, messageOf, RuntimeError, throwIfAborted } from '#base/errors.ts';
import { step, stepAnyway } from '#base/step.ts';
import { collect, describeStatus, launch } from '#host/launch.ts';
import { performMountAside, unmountAllAside } from '#host/mount.ts';
import { isRunning } from '#host/proc.ts';
import { O_PATH, openInRoot } from '#host/rooted.ts';
import type { Snapshotter } from '#images/contract.ts';
import type { TarSink } from '#images/unpack/tar-parser.ts';
import type { CrunContainers } from '../container/manager.ts';
import type { ContainerRecord } from '../container/record.ts';
import type { RuntimePaths } from '../paths.ts';
import { ArchiveWriter } from './archive-writer.ts';
import { openPlace, statInRoot } from './container-root.ts';
import type { PathStat } from './contract.ts';

const tarPath = '/bin/tar';
/** The folder to archive, in the child. */
const folderDescriptor = 9;
const wordsLimitBytes = 4096;

/** Reads an archive by pieces and calls a sink; `end` throws if the archive is cut short. */
export interface ArchiveParser {
  write(chunk: Buffer): void;
  end(): void;
}

export interface ContainerFilesOptions {
  readonly containers: CrunContainers;
  readonly snapshotter: Pick<Snapshotter, 'find'>;
  readonly paths: RuntimePaths;
  readonly parseArchive: (sink: TarSink) => ArchiveParser;
}

export interface WriteOptions {
  /** Owners are those of the archive. */
  readonly keepOwner: boolean;
  /** Host ids of the container's root, who owns what is made otherwise. */
  readonly root: { readonly uid: number; readonly gid: number };
}

export class ContainerFiles {
  readonly #options: ContainerFilesOptions;

  constructor(options: ContainerFilesOptions) {
    this.#options = options;
  }

  stat(
    record: ContainerRecord,
    path: string,
    followLink: boolean,
    signal: AbortSignal,
  ): Promise<PathStat | undefined> {
    return this.#withRoot(record, signal, async (root) => statInRoot(root, path, followLink));
  }

  /** Gives pieces of a tar archive to `send`. Throws NotFound for a path that is not there. */
  read(
    record: ContainerRecord,
    path: string,
    followLink: boolean,
    send: (piece: Buffer) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    return this.#withRoot(record, signal, async (root, either) => {
      if (statInRoot(root, path, followLink) === undefined)
        throw new RuntimeError('NotFound', `there is no ${path} in container ${record.id}`);
      const place = openPlace(root, path, followLink);
      try {
        await step('copy-from-container/pack', () => archive(place, path === '/', send, either));
      } finally {
        closeSync(place.fd);
      }
    });
  }

  /** Unpacks an archive in the folder `path`. Throws NotFound (folder), InvalidArgument (archive). */
  write(
    record: ContainerRecord,
    path: string,
    pieces: AsyncIterable<Buffer>,
    { keepOwner, root: owner }: WriteOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const attempted = `copying into ${path} of container ${record.id}`;
    return this.#withRoot(record, signal, async (root, either) => {
      if (statInRoot(root, path, true)?.type !== 'directory')
        throw new RuntimeError('NotFound', `there is no folder ${path} in container ${record.id}`);
      const writer = new ArchiveWriter({ root, folder: path, owner, keepOwner });
      const parser = this.#options.parseArchive(writer);
      try {
        await step('copy-to-container/unpack', async () => {
          const rest = pieces[Symbol.asyncIterator]();
          for (;;) {
            const next = await orAborted(rest.next(), either, attempted);
            if (next.done === true) break;
            parser.write(next.value);
            // Unpacking is synchronous: others have their turn between two pieces.
            await yieldToOthers();
          }
          parser.end();
        });
      } catch (error) {
        throw asOurs(error, attempted);
      } finally {
        writer.close();
      }
    });
  }

  /** Runs `work` with a path that reaches the container's root, and with when to give up. Throws FailedPrecondition. */
  async #withRoot<T>(
    record: ContainerRecord,
    signal: AbortSignal,
    work: (root: string, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { containers } = this.#options;
    throwIfAborted(signal, `reaching the files of container ${record.id}`);
    if (record.state === 'exited')
      return containers.whileExited(record.id, signal, (either) =>
        this.#withMounted(record, (root) => work(root, either)),
      );
    const { process } = record;
    if (!process || (record.state !== 'running' && record.state !== 'created'))
      throw new RuntimeError(
        'FailedPrecondition',
        `container ${record.id} is ${record.state}; its files cannot be reached`,
      );
    let fd: number;
    try {
      fd = openSync(`/proc/${process.pid}/root`, O_PATH | constants.O_DIRECTORY);
    } catch (error) {
      throw new RuntimeError('FailedPrecondition', `container ${record.id} has just ended; try again`, {
        cause: error,
      });
    }
    try {
      // The pid was its own when the root was opened if it still is.
      if (!isRunning(process))
        throw new RuntimeError('FailedPrecondition', `container ${record.id} has just ended; try again`);
      return await work(`/proc/self/fd/${fd}`, signal);
    } finally {
      closeSync(fd);
    }
  }

  /** In the place where its root was mounted while it ran: clean-up and recovery know of it. */
  async #withMounted<T>(record: ContainerRecord, work: (root: string) => Promise<T>): Promise<T> {
    const { paths, snapshotter } = this.#options;
    const snapshot = snapshotter.find(record.id);
    if (!snapshot)
      throw new RuntimeError('FailedPrecondition', `the writable layer of container ${record.id} is gone`);
    const rootfs = paths.rootfs(record.id);
    try {
      await step('open-exited/mount-root', async () => {
        mkdirSync(rootfs, { recursive: true, mode: 0o711 });
        await performMountAside(snapshot.mount, rootfs);
      });
      const fd = openInRoot(rootfs, '/', O_PATH | constants.O_DIRECTORY);
      try {
        return await work(`/proc/self/fd/${fd}`);
      } finally {
        closeSync(fd);
      }
    } finally {
      await stepAnyway('open-exited/unmount-root', () => unmountAllAside(rootfs));
    }
  }
}

/** tar walks by descriptors and follows no link; it is chdir'ed by the open folder, so nobody can put another in its place. */
async function archive(
  place: { readonly fd: number; readonly name: string },
  isWholeRoot: boolean,
  send: (piece: Buffer) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const child = launch({
    path: tarPath,
    args: [
      '--create',
      '--file=-',
      `--directory=/proc/self/fd/${folderDescriptor}`,
      '--format=pax',
      '--numeric-owner',
      // Of the whole root: not what the kernel shows in /proc and /sys.
      ...(isWholeRoot ? ['--one-file-system'] : []),
      '--',
      place.name,
    ],
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    stdout: 'pipe',
    stderr: 'pipe',
    descriptors: { [folderDescriptor]: place.fd },
  });
  const words = collect(child.stderr!, wordsLimitBytes);
  const onAbort = () => child.kill(9);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const piece of child.stdout!) {
      await orAborted(send(piece as Buffer), signal, 'copying from a container');
    }
    const status = await child.exited;
    await words.done;
    throwIfAborted(signal, 'copying from a container');
    // 1: a file changed as it was read, which in a running container they do.
    if (status.type !== 'exited' || status.code > 1)
      throw new RuntimeError(
        'Internal',
        `copying ${place.name}: ${words.bytes().toString().trim().split('\n')[0] || describeStatus(status)}`,
      );
  } finally {
    signal.removeEventListener('abort', onAbort);
    child.kill(9);
    child.stdout!.destroy();
  }
}

/** Errors of the file system as ours, and a damaged archive as the client's. */
function asOurs(error: unknown, attempted: string): unknown {
  if (isRuntimeError(error, 'Unknown') || isRuntimeError(error, 'DataLoss'))
    return new RuntimeError('InvalidArgument', `${attempted}: ${error.message}`, { cause: error });
  const errno = errnoOf(error);
  if (isRuntimeError(error) || errno === undefined || !/^E[A-Z0-9]+$/.test(errno)) return error;
  const kind = errno === 'ENOSPC' || errno === 'EDQUOT' ? 'ResourceExhausted' : 'FailedPrecondition';
  return new RuntimeError(kind, `${attempted}: ${messageOf(error)}`, { cause: error });
}
