/** What an audit of the runtime compares: the records on one side, and which ids they allow and count on. */
import type { ContainerRecord } from '../container/record.ts';
import type { RuntimePaths } from '../paths.ts';
import type { SandboxRecord } from '../sandbox/record.ts';

export interface AuditInput {
  readonly sandboxes: readonly SandboxRecord[];
  readonly containers: readonly ContainerRecord[];
  /** Ids of records that cannot be read: everything of theirs is allowed, nothing is counted on. */
  readonly damaged: readonly string[];
  readonly paths: RuntimePaths;
  readonly cgroupVersion: 1 | 2;
  /** Further cgroups below which containers may have been: of pods that are gone no record tells. */
  readonly cgroupParents: readonly string[];
  /** The daemon, if it runs: what it has in hand is not left over. */
  readonly daemonPid: number | undefined;
}

/** What may be there for an id, and what must be. */
export class Owners {
  readonly #sandboxes = new Map<string, SandboxRecord>();
  readonly #containers = new Map<string, ContainerRecord>();
  readonly #damaged: ReadonlySet<string>;

  constructor(input: AuditInput) {
    for (const record of input.sandboxes) this.#sandboxes.set(record.id, record);
    for (const record of input.containers) this.#containers.set(record.id, record);
    this.#damaged = new Set(input.damaged);
  }

  isKnown(id: string): boolean {
    return this.#sandboxes.has(id) || this.#containers.has(id) || this.#damaged.has(id);
  }

  sandbox(id: string): SandboxRecord | undefined {
    return this.#sandboxes.get(id);
  }

  /** By the beginning of an id, as short names of pins and mounts have it. */
  hasSandboxWith(prefix: string): boolean {
    return [...this.#sandboxes.keys(), ...this.#damaged].some((id) => id.startsWith(prefix));
  }

  /** Whether something with a process may be there: a live container, a sandbox (its init), or what is being made or removed. */
  mayLive(id: string): boolean {
    const container = this.#containers.get(id);
    return container ? container.state !== 'exited' || container.isReviving === true : this.isKnown(id);
  }
}

export function isSettledSandbox(record: SandboxRecord): boolean {
  return record.state === 'ready' && !record.isRemoving;
}

export function isLiveContainer(record: ContainerRecord): boolean {
  // One that waits to go on from a checkpoint is files only.
  if (record.state === 'created' && record.isRestoring) return false;
  return (record.state === 'created' || record.state === 'running') && !record.isRemoving;
}

/** The id in a path or word; '' if there is none. */
export function idIn(text: string): string {
  return /[0-9a-f]{64}/.exec(text)?.[0] ?? '';
}
