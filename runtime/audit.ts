/**
 * The audit of sandboxes and containers: compares records with mounts, namespaces, processes, cgroups and folders, and
 * with each other. It changes
 * nothing and takes no lock, so what is being made or removed this instant may show: who wants to be sure looks twice.
 */
import type { Finding } from '#base/finding.ts';
import { auditFolders } from './audit/folders.ts';
import { type AuditInput, isLiveContainer } from './audit/machine.ts';
import { auditMounts } from './audit/mounts.ts';
import { auditNames } from './audit/names.ts';
import { auditProcesses } from './audit/processes.ts';

export type { AuditInput } from './audit/machine.ts';

/** Everything that is nobody's, and everything that a record counts on and that is not there. Throws only Node's errors of /proc. */
export function auditRuntime(input: AuditInput): Finding[] {
  const damaged = input.damaged.map((id): Finding => {
    const mend = 'stop and remove it: it is shown as unknown';
    return { kind: 'missing', what: 'readable record', id, path: 'state.db', mend };
  });
  const known = new Set<string>([...input.sandboxes.map(({ id }) => id), ...input.damaged]);
  const strays = input.containers
    .filter((record) => isLiveContainer(record) && !known.has(record.sandboxId))
    .map(({ id, sandboxId }): Finding => {
      const mend = 'restart berthd, which ends it, then remove the container';
      return { kind: 'leak', what: 'container without a sandbox', id, path: sandboxId, mend };
    });
  return [
    ...damaged,
    ...strays,
    ...auditMounts(input),
    ...auditFolders(input),
    ...auditProcesses(input),
    ...auditNames(input),
  ];
}
