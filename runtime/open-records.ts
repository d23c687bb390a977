/** The records of sandboxes and containers as the last daemon left them, damaged ones among them. */
import type { DatabaseSync } from 'node:sqlite';
import type { Log } from '#base/log.ts';
import { type DamagedRecord, RecordTable } from '#state/record-table.ts';
import type { ContainerRecord } from './container/record.ts';
import type { HandlerTable } from './handlers.ts';
import type { RuntimePaths } from './paths.ts';
import { quarantineContainer, quarantineSandbox } from './quarantine.ts';
import { isContainerRecord, isSandboxRecord } from './record-shape.ts';
import { RecordStore } from './record-store.ts';
import type { SandboxRecord } from './sandbox/record.ts';

export interface OpenedRecords {
  readonly sandboxes: RecordStore<SandboxRecord>;
  readonly containers: RecordStore<ContainerRecord>;
}

function openStore<R extends { readonly id: string }>(
  table: RecordTable<R>,
  noun: string,
  quarantine: (damaged: DamagedRecord) => R,
  log: Log,
  groupOf?: (record: R) => string,
): RecordStore<R> {
  const store = new RecordStore<R>(table, noun, groupOf);
  const { records, damaged } = table.load();
  store.adopt(records);
  for (const entry of damaged) {
    log.error(
      { id: entry.id, problem: entry.problem },
      `the record of a ${noun} cannot be read; it is shown as unknown until it is removed`,
    );
    // In memory only: what stands on disk may still help a newer version, or a person.
    store.adopt([quarantine(entry)]);
  }
  return store;
}

/** Opens both tables. A record that cannot be read becomes one of state `unknown`; it is never a reason not to start. */
export function openRecords(
  database: DatabaseSync,
  paths: RuntimePaths,
  handlers: HandlerTable,
  log: Log,
): OpenedRecords {
  return {
    sandboxes: openStore(
      new RecordTable<SandboxRecord>(database, 'sandboxes', isSandboxRecord),
      'sandbox',
      (damaged) => quarantineSandbox(damaged, paths),
      log,
    ),
    containers: openStore(
      new RecordTable<ContainerRecord>(database, 'containers', isContainerRecord),
      'container',
      (damaged) => quarantineContainer(damaged, paths, handlers),
      log,
      (container) => container.sandboxId,
    ),
  };
}
