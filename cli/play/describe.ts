/** What `--dry-run` shows of a plan. */
import { formatPort } from '../port-flags.ts';
import type { ContainerPlan, PlayPlan, PodPlan, VolumePlan } from './plan.ts';

/** Lines for people. */
export function describePlan(plan: PlayPlan): string[] {
  return plan.pods.flatMap((pod) => [
    `pod ${pod.name} (${pod.owner})`,
    ...described(pod).map((line) => `  ${line}`),
    ...pod.containers.flatMap((container) => describeContainer(pod, container).map((line) => `  ${line}`)),
  ]);
}

function described(pod: PodPlan): string[] {
  return [
    ...(pod.network === 'pod' ? [] : [`network: ${pod.network}`]),
    ...pod.ports.map((port) => `port ${formatPort(port)}`),
    ...(pod.siblingNames.length > 0 ? [`reached as ${pod.siblingNames.join(', ')}`] : []),
    ...Object.entries(pod.volumes).map(([name, volume]) => `volume ${name}: ${describeVolume(volume)}`),
  ];
}

function describeVolume(volume: VolumePlan): string {
  switch (volume.kind) {
    case 'scratch':
      return volume.inMemory ? 'empty, in memory' : 'empty';
    case 'files':
      return `files ${volume.files.map(({ path }) => path).join(', ')}`;
    case 'named':
      return `the volume ${volume.name}, which stays`;
    case 'host':
      return volume.path;
    case 'image':
      return `the image ${volume.image}`;
  }
}

function describeContainer(pod: PodPlan, container: ContainerPlan): string[] {
  const { memory_limit_in_bytes: memory, cpu_quota: quota } = container.resources;
  const role =
    container.role === 'main' ? 'container' : container.role === 'init' ? 'init container' : 'sidecar';
  const words = [...container.command, ...container.args];
  return [
    `${role} ${container.name}: ${container.image}`,
    ...(words.length > 0 ? [`  command ${JSON.stringify(words)}`] : []),
    ...container.environment.map(({ name }) => `  variable ${name}`),
    ...container.mounts.map(
      ({ path, volume, subPath, isReadOnly }) =>
        `  ${path} from ${pod.volumes[volume]!.kind === 'host' ? describeVolume(pod.volumes[volume]!) : volume}${subPath === '' ? '' : `/${subPath}`}${isReadOnly ? ', read-only' : ''}`,
    ),
    ...(memory === undefined ? [] : [`  memory at most ${memory} bytes`]),
    ...(quota === undefined ? [] : [`  at most ${Number(quota) / 100_000} CPUs`]),
  ];
}

/** The same for scripts. Values of variables stay out of it, for they may be secrets. */
export function planJson({ pods, notes }: PlayPlan): unknown {
  return {
    notes,
    pods: pods.map((pod) => ({
      namespace: pod.namespace,
      name: pod.name,
      owner: pod.owner,
      network: pod.network,
      ports: pod.ports.map(formatPort),
      volumes: Object.fromEntries(
        Object.entries(pod.volumes).map(([name, volume]) => [name, describeVolume(volume)]),
      ),
      containers: pod.containers.map(
        ({ name, role, image, command, args, environment, mounts, resources }) => ({
          name,
          role,
          image,
          command,
          args,
          variables: environment.map((entry) => entry.name),
          mounts: mounts.map(({ path, volume, subPath, isReadOnly }) => ({
            path,
            volume,
            subPath,
            isReadOnly,
          })),
          resources,
        }),
      ),
    })),
  };
}
