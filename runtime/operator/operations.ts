/** The operations of `contract.ts` on this node's containers. */
import { orAborted } from '#base/abort.ts';
import { RuntimeError } from '#base/errors.ts';
import { isManagedPod } from '#base/managed-pod.ts';
import { type ProcessRow, readProcessRows } from '#host/process-table.ts';
import type { CrunContainers } from '../container/manager.ts';
import type { ContainerRecord } from '../container/record.ts';
import type { RecordStore } from '../record-store.ts';
import type { PinnedSandboxes } from '../sandbox/manager.ts';
import type { SandboxRecord } from '../sandbox/record.ts';
import { rootOwner } from '../sandbox/user-namespace.ts';
import { signalNumber } from '../spec/stop-signal.ts';
import type { ContainerFiles } from './container-files.ts';
import type { ContainerOperations, PathStat } from './contract.ts';

export interface NodeOperationsOptions {
  readonly containers: CrunContainers;
  readonly sandboxes: PinnedSandboxes;
  readonly sandboxRecords: RecordStore<SandboxRecord>;
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
    containers.sendSignal(record.id, number);
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
