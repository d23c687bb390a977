/** Names for completion, from the daemon. */
import { ContainerState } from '#proto/generated/cri.ts';
import type { Candidate } from './completion.ts';
import type { CallOptions, Connection } from './connection.ts';
import { containerName } from './names.ts';

/** Names of one kind with what tells them apart. Throws CallError. */
export async function listCompletions(
  connection: Connection,
  kind: 'container' | 'runningContainer' | 'pod' | 'image' | 'volume',
  options: CallOptions,
): Promise<readonly Candidate[]> {
  if (kind === 'image') {
    const { images } = await connection.call('ListImages', {}, options);
    return images.flatMap(({ repo_tags }) => repo_tags.map((text) => ({ text })));
  }
  if (kind === 'volume') {
    const { volumes } = await connection.admin('ListVolumes', {}, options);
    return volumes.map(({ name: text }) => ({ text }));
  }
  if (kind === 'pod') {
    const { items } = await connection.call('ListPodSandbox', {}, options);
    return items.map(({ metadata }) => ({
      text: metadata?.name ?? '',
      help: `pod in ${metadata?.namespace}`,
    }));
  }
  const { containers } = await connection.call('ListContainers', {}, options);
  return containers
    .filter(({ state }) => kind === 'container' || state === ContainerState.CONTAINER_RUNNING)
    .map((container) => ({
      text: containerName(container),
      help: container.image?.user_specified_image || container.image_ref,
    }));
}
