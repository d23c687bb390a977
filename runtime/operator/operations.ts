/** The operations of `contract.ts` on this node's containers. */
import { orAborted } from '#base/abort.ts';
import { RuntimeError } from '#base/errors.ts';
import { isManagedPod, nameLabel } from '#base/managed-pod.ts';
import { step } from '#base/step.ts';
import { type ProcessRow, readProcessRows } from '#host/process-table.ts';
import type { Image, ImageService } from '#images/contract.ts';
import type { CrunContainers } from '../container/manager.ts';
import type { ContainerRecord } from '../container/record.ts';
import type { RecordStore } from '../record-store.ts';
import type { PinnedSandboxes } from '../sandbox/manager.ts';
import type { SandboxRecord } from '../sandbox/record.ts';
import { rootOwner } from '../sandbox/user-namespace.ts';
import { processArgs } from '../spec/process.ts';
import { signalNumber } from '../spec/stop-signal.ts';
import type { ContainerFiles } from './container-files.ts';
import type { ContainerDetails, ContainerOperations, PathStat } from './contract.ts';

export interface NodeOperationsOptions {
  readonly containers: CrunContainers;
  readonly sandboxes: PinnedSandboxes;
  readonly sandboxRecords: RecordStore<SandboxRecord>;
  readonly containerRecords: RecordStore<ContainerRecord>;
  readonly images: Pick<ImageService, 'find'>;
  readonly files: ContainerFiles;
}

export class NodeOperations implements ContainerOperations {
  readonly #options: NodeOperationsOptions;
  readonly #ending = new AbortController();

  constructor(options: NodeOperationsOptions) {
    this.#options = options;
  }

  async wait(idOrPrefix: string, signal: AbortSignal): Promise<ContainerRecord> {
    const { containers } = this.#options;
    const { id } = containers.get(idOrPrefix);
    const either = AbortSignal.any([signal, this.#ending.signal]);
    await orAborted(containers.whenExited(id), either, `waiting for container ${id}`);
    return containers.get(id);
  }

  endWaits(): void {
    this.#ending.abort(new RuntimeError('Unavailable', 'the daemon is shutting down; containers go on'));
  }

  async kill(idOrPrefix: string, signalName: string): Promise<void> {
    const number = signalNumber(signalName);
    const { containers } = this.#options;
    const record = containers.get(idOrPrefix);
    if (record.state !== 'running')
      throw new RuntimeError(
        'FailedPrecondition',
        `container ${record.id} is ${record.state}; only a running one takes signals`,
      );
    await step('kill-container/signal', () => containers.sendSignal(record.id, number));
  }

  pause(id: string): Promise<void> {
    return this.#options.containers.pause(id);
  }

  unpause(id: string): Promise<void> {
    return this.#options.containers.unpause(id);
  }

  async rename(idOrPrefix: string, name: string): Promise<void> {
    const { containers, containerRecords, sandboxRecords } = this.#options;
    const { id } = containers.get(idOrPrefix);
    // Nothing below waits: nobody comes in between.
    const container = containerRecords.getExact(id);
    const sandbox = sandboxRecords.getExact(container.sandboxId);
    if (!isManagedPod(sandbox.config.labels) || containers.listOf(sandbox.id).length !== 1)
      throw new RuntimeError(
        'FailedPrecondition',
        `container ${id} is not one that berth run made, alone in its pod; only those have names of their own`,
      );
    const { metadata } = sandbox.config;
    const isTaken =
      containerRecords.list().some((other) => other.id !== id && other.config.labels[nameLabel] === name) ||
      sandboxRecords
        .list()
        .some(
          ({ id: other, config }) =>
            other !== sandbox.id &&
            config.metadata.name === name &&
            config.metadata.namespace === metadata.namespace,
        );
    if (isTaken) throw new RuntimeError('AlreadyExists', `the name ${name} is taken`);
    const labelled = (labels: Readonly<Record<string, string>>) => ({ ...labels, [nameLabel]: name });
    await step('rename-container/record', () =>
      sandboxRecords.updateWith(
        [
          sandbox.id,
          {
            config: {
              ...sandbox.config,
              metadata: { ...metadata, name, uid: name },
              labels: labelled(sandbox.config.labels),
            },
          },
        ],
        containerRecords,
        [id, { config: { ...container.config, labels: labelled(container.config.labels) } }],
      ),
    );
  }

  details(): readonly ContainerDetails[] {
    const { containers, images } = this.#options;
    return containers.list().map((record) => ({
      record,
      isPaused: record.state === 'running' && record.isPaused === true,
      command: commandOf(record, images.find(record.imageId)),
    }));
  }

  async revive(idOrPrefix: string, signal: AbortSignal): Promise<void> {
    const { containers, sandboxes, sandboxRecords } = this.#options;
    const { id, sandboxId } = containers.get(idOrPrefix);
    if (!isManagedPod(sandboxRecords.getExact(sandboxId).config.labels))
      throw new RuntimeError(
        'FailedPrecondition',
        `container ${id} is in no managed pod: whoever made it makes another in its place`,
      );
    await sandboxes.whileReady(sandboxId, signal, () => containers.revive(id, signal));
  }

  listProcesses(idOrPrefix: string): readonly ProcessRow[] {
    const { containers } = this.#options;
    const record = containers.get(idOrPrefix);
    if (record.state !== 'running')
      throw new RuntimeError(
        'FailedPrecondition',
        `container ${record.id} is ${record.state}; only a running one has processes`,
      );
    return readProcessRows(containers.listProcesses(record));
  }

  statPath(
    id: string,
    path: string,
    { followLink }: { readonly followLink: boolean },
    signal: AbortSignal,
  ): Promise<PathStat | undefined> {
    return this.#options.files.stat(this.#options.containers.get(id), path, followLink, signal);
  }

  copyFrom(
    id: string,
    path: string,
    { followLink }: { readonly followLink: boolean },
    send: (piece: Buffer) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    return this.#options.files.read(this.#options.containers.get(id), path, followLink, send, signal);
  }

  copyTo(
    id: string,
    path: string,
    archive: AsyncIterable<Buffer>,
    { keepOwner }: { readonly keepOwner: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const { containers, sandboxRecords, files } = this.#options;
    const record = containers.get(id);
    const root = rootOwner(sandboxRecords.getExact(record.sandboxId).config);
    return files.write(record, path, archive, { keepOwner, root }, signal);
  }
}

function commandOf({ config }: ContainerRecord, image: Image | undefined): readonly string[] {
  try {
    return processArgs(config, image?.config ?? { entrypoint: [], command: [] });
  } catch {
    return []; // only the image knew it
  }
}
