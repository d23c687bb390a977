import { requireId, requireName } from '../../convert/field.ts';
import type { AdminUnary } from '../method.ts';
import type { AdminServices } from '../services.ts';

type Services = Pick<AdminServices, 'operations'>;

/** Has a running container stand still. Throws NotFound, FailedPrecondition, Internal. */
export function pauseContainer({ operations }: Services): AdminUnary<'PauseContainer'> {
  return async (request) => {
    await operations.pause(requireId(request.container_id, 'container_id'));
    return {};
  };
}

/** Lets it go on. Throws NotFound, FailedPrecondition, Internal. */
export function unpauseContainer({ operations }: Services): AdminUnary<'UnpauseContainer'> {
  return async (request) => {
    await operations.unpause(requireId(request.container_id, 'container_id'));
    return {};
  };
}

/** Gives a container of `berth run` another name. Throws NotFound, FailedPrecondition, AlreadyExists. */
export function renameContainer({ operations }: Services): AdminUnary<'RenameContainer'> {
  return async (request) => {
    await operations.rename(
      requireId(request.container_id, 'container_id'),
      requireName(request.name, 'name'),
    );
    return {};
  };
}

/** What lists of containers show beyond the CRI's. */
export function listContainerDetails({ operations }: Services): AdminUnary<'ListContainerDetails'> {
  return () => ({
    containers: operations.details().map(({ record, isPaused, command }) => ({
      id: record.id,
      paused: isPaused,
      command: [...command],
      started_at: record.startedAtNs,
      finished_at: record.finishedAtNs,
      exit_code: record.exitCode,
      reason: record.reason,
    })),
  });
}
