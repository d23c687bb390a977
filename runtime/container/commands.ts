/** Commands in running containers: run to their end, found, and ended. Streamed ones are in `stream.ts`. */
import { messageOf, RuntimeError } from '#base/errors.ts';
import { listGroupProcesses } from '#host/cgroup.ts';
import type { CgroupMigrations } from '#host/cgroup-migration.ts';
import { isEnding } from '#host/proc.ts';
import type { ExecSyncResult } from '../contract.ts';
import type { HandlerTable } from '../handlers.ts';
import { saysNotRunning } from '../oci/errors.ts';
import type { RuntimePaths } from '../paths.ts';
import type { RecordStore } from '../record-store.ts';
import type { SandboxRecord } from '../sandbox/record.ts';
import type { HostFacts } from '../spec/inputs.ts';
import { cgroupLocation } from './cgroup-location.ts';
import { killMarked, markOf } from './exec-mark.ts';
import { mustDetach, readExecFile } from './exec-process.ts';
import { execSync } from './exec-sync.ts';
import type { ContainerRecord } from './record.ts';

export interface CommandsOptions {
  readonly sandboxes: RecordStore<SandboxRecord>;
  readonly handlers: HandlerTable;
  readonly paths: RuntimePaths;
  readonly migrations: CgroupMigrations;
  readonly host: HostFacts;
  readonly execDrainMs: number;
}

export class ContainerCommands {
  readonly #options: CommandsOptions;

  constructor(options: CommandsOptions) {
    this.#options = options;
  }

  /** As `ContainerManager.execSync`, for a container's record. */
  async run(
    record: ContainerRecord,
    command: readonly string[],
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<ExecSyncResult> {
    if (record.state !== 'running')
      throw new RuntimeError(
        'FailedPrecondition',
        `container ${record.id} is ${record.state}; exec needs a running one`,
      );
    if (command.length === 0)
      throw new RuntimeError('InvalidArgument', `exec in container ${record.id}: the command is empty`);
    this.#options.migrations.expect();
    const runtime = this.#options.handlers.get(record.handler);
    const sandbox = this.#options.sandboxes.getExact(record.sandboxId);
    const request = {
      containerId: record.id,
      bundle: this.#options.paths.bundle(record.id),
      command,
      timeoutMs,
      drainMs: this.#options.execDrainMs,
      isDetached: mustDetach(runtime, record.config, sandbox.config),
      listProcesses: () => this.listProcesses(record),
    };
    try {
      return await execSync(runtime, request, signal);
    } catch (error) {
      throw hasEnded(error, record)
        ? new RuntimeError('FailedPrecondition', `container ${record.id} has ended: ${messageOf(error)}`, {
            cause: error,
          })
        : error;
    }
  }

  /** Pids, on the node, of all processes of a container; [] for one that has none. */
  listProcesses({ cgroupsPath }: ContainerRecord): readonly number[] {
    return cgroupsPath === ''
      ? []
      : listGroupProcesses(this.#options.host.cgroupVersion, cgroupLocation(cgroupsPath));
  }

  /** Kills commands in a container that an earlier daemon ran, or an OCI runtime that died, by the files that describe them, with all that they started. */
  endCommands(record: ContainerRecord, files: readonly string[]): void {
    for (const file of files) {
      const described = readExecFile(file);
      const mark = described && markOf(described);
      if (mark) killMarked(mark, () => this.listProcesses(record));
    }
  }
}

/** Whether something failed, in words that depend on where it was, only because the container ended under it. */
function hasEnded(error: unknown, { process }: ContainerRecord): boolean {
  if (!(error instanceof RuntimeError) || error.kind !== 'Internal') return false;
  return !process || isEnding(process) || saysNotRunning(error.message);
}
