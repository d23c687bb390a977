/** `--network container:NAME`: a further container in the pod of another, with its address, ports and host name. */
import { nameLabel } from '#base/managed-pod.ts';
import { type Container, ContainerState, type NamespaceMode } from '#proto/generated/cri.ts';
import { CommandError, UsageError } from './command.ts';
import type { CallOptions, Connection } from './connection.ts';
import { chooseContainer, isManaged, listContainers } from './containers.ts';
import type { FlagValues } from './flag-values.ts';
import { containerName } from './names.ts';

/** On containers in a pod that another one's `berth run` made; the value is that one's name. They go alone. */
export const joinedLabel = 'dev.berth/joined';

export interface JoinedPod {
  readonly podId: string;
  /** The name of the container that has it. */
  readonly name: string;
  readonly network: NamespaceMode;
}

/** What is the pod's to say, and was said when it was made. */
const podFlags = [
  'publish',
  'publish-all',
  'hostname',
  'dns',
  'dns-search',
  'add-host',
  'shm-size',
  'sysctl',
];

/** The container that is to be joined, as the flags name it; undefined for none. Throws UsageError. */
export function joinedName(flags: FlagValues): string | undefined {
  const network = flags.string('network')!;
  if (['default', 'host', 'none'].includes(network)) return undefined;
  const name = /^container:(.+)$/.exec(network)?.[1];
  if (name === undefined)
    throw new UsageError(
      `--network: ${JSON.stringify(network)} is not one of default, host, none, container:NAME`,
      'Networks with names are CNI configuration of the daemon, the same for all pods.',
    );
  const given = podFlags.find((flag) => flags.has(flag));
  if (given !== undefined || flags.string('userns') !== 'host')
    throw new UsageError(
      `--${given ?? 'userns'} says nothing with --network container:${name}: that is for the pod of ${name}`,
      `Say it when ${name} is made.`,
    );
  return name;
}

/** Finds the pod for a container called `ownName`. Throws CommandError, CallError. */
export async function findJoined(
  connection: Connection,
  given: string,
  ownName: string,
  options: CallOptions,
): Promise<JoinedPod> {
  const containers = await listContainers(connection, options);
  const found = chooseContainer(containers, given);
  const name = containerName(found);
  if (!isManaged(found.labels))
    throw new CommandError(`${name} was not made by berth run`, {
      hint: 'Whoever made its pod, a kubelet for instance, decides on what is in it.',
    });
  if (found.state !== ContainerState.CONTAINER_RUNNING)
    throw new CommandError(`${name} is not running, so its network is not there`, {
      hint: `\`berth start ${name}\` starts it.`,
    });
  if (containers.some(({ labels }) => labels[nameLabel] === ownName))
    throw new CommandError(`the name ${ownName} is taken`, {
      hint: `\`berth rm ${ownName}\` removes what has it; or choose another --name.`,
    });
  const { status } = await connection.call(
    'PodSandboxStatus',
    { pod_sandbox_id: found.pod_sandbox_id },
    options,
  );
  const network = status?.linux?.namespaces?.options?.network ?? 0;
  return { podId: found.pod_sandbox_id, name, network };
}

/** Refuses to take a pod away from containers that joined it. Throws CommandError. */
export async function refuseWithGuests(
  connection: Connection,
  container: Container,
  options: CallOptions,
): Promise<void> {
  const guests = (await listContainers(connection, options)).filter(
    ({ id, pod_sandbox_id }) => id !== container.id && pod_sandbox_id === container.pod_sandbox_id,
  );
  if (guests.length === 0) return;
  const names = guests.map((guest) => containerName(guest)).join(', ');
  throw new CommandError(`its network is that of ${names} too`, {
    hint: `Remove ${guests.length > 1 ? 'those' : 'that one'} first, or all of them with --force.`,
  });
}
