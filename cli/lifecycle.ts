/** Starting, stopping and removing, as `start`, `stop`, `restart` and `rm` share it. */

import { managedByLabel, stopSecondsAnnotation } from '#base/managed-pod.ts';
import { type Container, ContainerState } from '#proto/generated/cri.ts';
import { CommandError, type Flag } from './command.ts';
import type { CallOptions, Connection } from './connection.ts';
import { isManaged } from './containers.ts';
import { joinedLabel, refuseWithGuests } from './joined-pod.ts';
import { containerName, managedByCli } from './names.ts';

/** Makes a container startable: one that has ended is revived by the daemon. Throws CommandError, CallError. */
export async function prepareStart(
  connection: Connection,
  container: Container,
  options: CallOptions,
): Promise<void> {
  if (container.state === ContainerState.CONTAINER_CREATED) return;
  if (!isManaged(container.labels))
    throw new CommandError(`${containerName(container)} was not made by berth run`, {
      hint: 'Whoever made it, a kubelet for instance, makes a new one in its place.',
    });
  await connection.admin('ReviveContainer', { container_id: container.id }, options);
}

/** One that runs is left as it is. Throws CommandError, CallError. */
export async function startContainer(
  connection: Connection,
  container: Container,
  options: CallOptions,
): Promise<void> {
  if (container.state === ContainerState.CONTAINER_RUNNING) return;
  await prepareStart(connection, container, options);
  await connection.call('StartContainer', { container_id: container.id }, options);
}

/** How long a container may take to end when asked, unless told otherwise. */
const defaultStopSeconds = 10;

/** Of the commands that stop: see `stopSecondsOf` for what holds without it. */
export const stopTimeFlag: Flag = {
  long: 'time',
  short: 't',
  kind: 'integer',
  valueName: 'SECONDS',
  help: `how long to wait before killing; --stop-timeout of run otherwise, or ${defaultStopSeconds}`,
};

/** What was said when it was made, else the usual. */
export function stopSecondsOf({ annotations }: Pick<Container, 'annotations'>): number {
  const seconds = Number(annotations[stopSecondsAnnotation] ?? Number.NaN);
  return Number.isFinite(seconds) ? seconds : defaultStopSeconds;
}

/** Throws CallError. */
export async function stopContainer(
  connection: Connection,
  container: Container,
  seconds: number,
  options: CallOptions,
): Promise<void> {
  await connection.call(
    'StopContainer',
    { container_id: container.id, timeout: BigInt(Math.max(0, Math.ceil(seconds))) },
    options,
  );
}

/** With its pod where `berth run` made both. Throws CommandError for one that runs, unless `isForced`. */
export async function removeContainer(
  connection: Connection,
  container: Container,
  isForced: boolean,
  options: CallOptions,
): Promise<void> {
  if (container.state === ContainerState.CONTAINER_RUNNING && !isForced)
    throw new CommandError('it is running', {
      hint: 'Stop it first (`berth stop`), or remove it with --force.',
    });
  // Pods of `berth play` may have other containers.
  if (container.labels[managedByLabel] === managedByCli && container.labels[joinedLabel] === undefined) {
    if (!isForced) await refuseWithGuests(connection, container, options);
    await connection.call('RemovePodSandbox', { pod_sandbox_id: container.pod_sandbox_id }, options);
  } else await connection.call('RemoveContainer', { container_id: container.id }, options);
}
