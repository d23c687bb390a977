/**
 * What each attached pod owes: everything that DEL needs, written before ADD begins and removed after DEL succeeded. So
 * the list is complete after a crash or a reboot, whatever became of the attach. One file per sandbox, named by its id:
 * a file that cannot be read is still a debt.
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { messageOf } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { PortMapping } from './pod-network.ts';
import { readRecord, removeRecord, writeDurableRecord, writeRecord } from './record-file.ts';

/** Who publishes the host ports of a pod. */
export type PortPublisher = 'plugin' | 'berth';

export interface Debt {
  readonly sandboxId: string;
  readonly networkName: string;
  /** Attached to Berth's own default network. */
  readonly isDefault: boolean;
  /** Text of the configuration list that ADD used. */
  readonly config: string;
  readonly ifName: string;
  readonly netnsPath: string;
  readonly args: readonly (readonly [string, string])[];
  readonly capabilityArgs: Readonly<Record<string, unknown>>;
  /** Host ports that are published, only those with a port of the host. */
  readonly hostPorts: readonly PortMapping[];
  readonly portPublisher: PortPublisher;
  readonly createdAtMs: number;
  /** How Berth attached it by itself; absent where plugins did, as an older Berth had them do for its default network too. */
  readonly native?: NativeAttachment;
}

export interface NativeAttachment {
  /** Name of the host's end of the link. */
  readonly hostLink: string;
  /** The CNI result, on the default network; that of a CNI network is in libcni's cache. */
  readonly result?: unknown;
  /** The folder of a CNI network's addresses, which others use as well; absent on the default network. */
  readonly addressDir?: string;
  /** Prefixes that are masqueraded for the pod, beside those of the default network. */
  readonly masquerade?: readonly string[];
}

const suffix = '.json';

function isDebt(value: unknown): value is Debt {
  const debt = value as Partial<Debt> | null;
  return (
    typeof debt === 'object' &&
    typeof debt?.sandboxId === 'string' &&
    typeof debt.config === 'string' &&
    typeof debt.ifName === 'string' &&
    Array.isArray(debt.args) &&
    Array.isArray(debt.hostPorts)
  );
}

export class DebtBook {
  readonly #dir: string;
  /** `undefined` for a record that could not be read. */
  readonly #debts = new Map<string, Debt | undefined>();

  /** Reads the debts under `dir`, which is made (0700) if it is missing. Throws Node's error if the folder cannot be used. */
  constructor(dir: string, log: Log) {
    this.#dir = dir;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(dir)) {
      // A draft (.tmp) is of an attach that had not begun.
      if (!name.endsWith(suffix)) continue;
      const sandboxId = name.slice(0, -suffix.length);
      this.#debts.set(sandboxId, this.#read(sandboxId, log));
    }
  }

  #path(sandboxId: string): string {
    return `${this.#dir}/${sandboxId}${suffix}`;
  }

  #read(sandboxId: string, log: Log): Debt | undefined {
    try {
      const debt: unknown = JSON.parse(readRecord(this.#path(sandboxId)) ?? '');
      if (isDebt(debt)) return debt;
    } catch (error) {
      log.warn({ sandboxId }, `network record is damaged, its id is kept: ${messageOf(error)}`);
    }
    return undefined;
  }

  /** Whether the sandbox owes a detach. */
  has(sandboxId: string): boolean {
    return this.#debts.has(sandboxId);
  }

  /** What the sandbox owes; undefined if nothing, or if its record is damaged (`has` tells which). */
  find(sandboxId: string): Debt | undefined {
    return this.#debts.get(sandboxId);
  }

  /** Ids of all sandboxes that owe a detach. */
  listIds(): string[] {
    return [...this.#debts.keys()];
  }

  /** All debts whose record is whole. */
  list(): Debt[] {
    return [...this.#debts.values()].filter((debt) => debt !== undefined);
  }

  /**
   * Records a debt: at once for a kill of this process, and for a power loss when the promise resolves. What ADD leaves
   * on disk meanwhile is no safer than that, so ADD need not wait for it. Throws or rejects with Node's error.
   *
   * Of what is attached to the default network a power loss leaves nothing but address reservations, which are given back
   * without their debt too: that record is as safe as they are, and nobody waits for the disk.
   */
  record(debt: Debt): Promise<void> {
    if (debt.native && debt.native.addressDir === undefined) {
      writeRecord(this.#path(debt.sandboxId), JSON.stringify(debt), 0o600);
      this.#debts.set(debt.sandboxId, debt);
      return Promise.resolve();
    }
    const durable = writeDurableRecord(this.#path(debt.sandboxId), JSON.stringify(debt), 0o600);
    this.#debts.set(debt.sandboxId, debt);
    return durable;
  }

  /** The debt is paid. Idempotent. Throws Node's error. */
  forget(sandboxId: string): void {
    removeRecord(this.#path(sandboxId));
    this.#debts.delete(sandboxId);
  }
}
