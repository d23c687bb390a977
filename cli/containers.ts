/** Containers as users name them: finding, listing, with what the daemon knows of each. */
import { isManagedPod } from '#base/managed-pod.ts';
import {
  type Container,
  ContainerState,
  type ContainerStatus,
  type PodSandbox,
} from '#proto/generated/cri.ts';
import { type CommandContext, CommandError } from './command.ts';
import type { CallOptions, Connection } from './connection.ts';
import { containerName } from './names.ts';

/** Whether an operator's tool such as `berth run` made it, and no kubelet. */
export function isManaged(labels: Readonly<Record<string, string>>): boolean {
  return isManagedPod(labels);
}

/** All containers, newest first. Throws CallError. */
export async function listContainers(
  connection: Connection,
  options: CallOptions,
): Promise<readonly Container[]> {
  const { containers } = await connection.call('ListContainers', {}, options);
  return containers.toSorted((a, b) => (a.created_at < b.created_at ? 1 : -1));
}

/**
 * The one that `given` names: a name, POD/CONTAINER, a container's name where it is unique, or the beginning of an id.
 * Throws CommandError.
 */
export async function findContainer(
  connection: Connection,
  given: string,
  options: CallOptions,
): Promise<Container> {
  return chooseContainer(await listContainers(connection, options), given);
}

/** The same in a list that is at hand. */
export function chooseContainer(containers: readonly Container[], given: string): Container {
  const ways: readonly ((container: Container) => boolean)[] = [
    ({ id }) => id === given,
    (container) => containerName(container) === given,
    ({ metadata }) => metadata?.name === given,
    ({ id }) => /^[0-9a-f]+$/.test(given) && id.startsWith(given),
  ];
  for (const matches of ways) {
    const found = containers.filter(matches);
    if (found.length === 1) return found[0]!;
    if (found.length > 1)
      throw new CommandError(`${JSON.stringify(given)} means ${found.length} containers`, {
        hint: `It may be ${found
          .slice(0, 4)
          .map((container) => containerName(container))
          .join(', ')}: give the name in full, or an id.`,
      });
  }
  throw new CommandError(`there is no container ${JSON.stringify(given)}`, {
    hint: '`berth ps -a` lists them all.',
  });
}

/** The pod that `given` names: a name, or the beginning of an id. Throws CommandError. */
export async function findPod(
  connection: Connection,
  given: string,
  options: CallOptions,
): Promise<PodSandbox> {
  const { items } = await connection.call('ListPodSandbox', {}, options);
  const ways: readonly ((pod: PodSandbox) => boolean)[] = [
    ({ id }) => id === given,
    ({ metadata }) => metadata?.name === given || `${metadata?.namespace}/${metadata?.name}` === given,
    ({ id }) => /^[0-9a-f]+$/.test(given) && id.startsWith(given),
  ];
  for (const matches of ways) {
    const found = items.filter(matches);
    if (found.length === 1) return found[0]!;
    if (found.length > 1)
      throw new CommandError(`${JSON.stringify(given)} means ${found.length} pods`, { hint: 'Give an id.' });
  }
  throw new CommandError(`there is no pod ${JSON.stringify(given)}`, { hint: '`berth pods` lists them.' });
}

/** Throws CallError. */
export async function statusOf(
  connection: Connection,
  id: string,
  options: CallOptions,
): Promise<ContainerStatus> {
  const { status } = await connection.call('ContainerStatus', { container_id: id }, options);
  if (status === undefined) throw new CommandError(`container ${id} has no status`);
  return status;
}

/** The states in words, as docker has them. */
export function stateWord(state: ContainerState): string {
  const words: Readonly<Record<number, string>> = {
    [ContainerState.CONTAINER_CREATED]: 'created',
    [ContainerState.CONTAINER_RUNNING]: 'running',
    [ContainerState.CONTAINER_EXITED]: 'exited',
  };
  return words[state] ?? 'unknown';
}

/**
 * Does something to each of several containers and prints what `work` gives, as it succeeds, or with `--json` all of it at the
 * end; failures are told and the others still done. Gives the exit status.
 */
export async function forEach(
  given: readonly string[],
  work: (given: string) => Promise<string>,
  { output, flags }: Pick<CommandContext, 'output' | 'flags'>,
): Promise<number> {
  const isJson = flags.boolean('json');
  const results: { name: string; result?: string; error?: string }[] = [];
  let status = 0;
  for (const name of given) {
    try {
      const result = await work(name);
      if (isJson) results.push({ name, result });
      else output.line(result);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      status = error.exitStatus ?? 1;
      if (isJson) results.push({ name, error: error.message });
      output.note(`berth: ${name}: ${error.message}`);
      if (error.hint !== undefined) output.note(error.hint);
    }
  }
  if (isJson) output.json(results);
  return status;
}
