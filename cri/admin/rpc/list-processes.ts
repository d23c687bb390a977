import { requireId } from '../../convert/field.ts';
import type { AdminUnary } from '../method.ts';
import type { AdminServices } from '../services.ts';

/** The processes of a running container, as the host sees them. Throws NotFound, FailedPrecondition. */
export function listProcesses({
  operations,
}: Pick<AdminServices, 'operations'>): AdminUnary<'ListProcesses'> {
  return (request) => {
    const found = operations.listProcesses(requireId(request.container_id, 'container_id'));
    return {
      processes: found.map((process) => ({
        pid: process.pid,
        parent_pid: process.parentPid,
        uid: process.uid,
        state: process.state,
        started_at: process.startedAtNs,
        cpu_ns: process.cpuNs,
        resident_bytes: process.residentBytes,
        command: process.command,
      })),
    };
  };
}
