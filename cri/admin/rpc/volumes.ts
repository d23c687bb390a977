/** Volumes with names. Three small calls on the same contract. */
import type { NamedVolume } from '#runtime/volumes/contract.ts';
import { checkText, requireName } from '../../convert/field.ts';
import type { AdminUnary } from '../method.ts';
import type { AdminServices } from '../services.ts';

type Services = Pick<AdminServices, 'volumes'>;

/** Volumes and who uses them; measured if that is asked for. */
export function listVolumes({ volumes }: Services): AdminUnary<'ListVolumes'> {
  return async ({ measure }) => {
    const found = [];
    for (const volume of volumes.list()) {
      // One that goes meanwhile occupies nothing.
      const usedBytes = measure ? await volumes.measure(volume.name).catch(() => 0) : 0;
      found.push({ ...encoded(volume), used_bytes: BigInt(usedBytes) });
    }
    return { volumes: found };
  };
}

/** Makes one unless it is there. Throws InvalidArgument. */
export function createVolume({ volumes }: Services): AdminUnary<'CreateVolume'> {
  return async ({ name, labels }) => {
    const volume = await volumes.ensure(name === '' ? '' : requireName(name, 'name'), checkLabels(labels));
    return { volume: encoded(volume) };
  };
}

/** Throws NotFound, FailedPrecondition (in use). */
export function removeVolume({ volumes }: Services): AdminUnary<'RemoveVolume'> {
  return async ({ name }) => {
    await volumes.remove(requireName(name, 'name'));
    return {};
  };
}

function checkLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const [key, value] of Object.entries(labels)) checkText(`${key}${value}`, 'labels', 64 << 10);
  return labels;
}

function encoded({ name, path, labels, createdAtNs, containers }: NamedVolume) {
  return { name, path, labels: { ...labels }, created_at: createdAtNs, containers: [...containers] };
}
