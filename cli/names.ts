/**
 * How users name containers. One that `berth` made has a name of its own; one of a pod that somebody else made is called
 * `POD/CONTAINER`. An id, or the beginning of one, always does.
 */
import { nameLabel } from '#base/managed-pod.ts';
import type { Container } from '#proto/generated/cri.ts';

/** The value of `managedByLabel` of what `berth run` and `berth create` make. */
export const managedByCli = 'berth-cli';

/** The namespace of pods that `berth` makes. */
export const cliNamespace = 'berth';

/** Labels that a kubelet gives to containers (Kubernetes, `pkg/kubelet/types`). */
const podNameLabel = 'io.kubernetes.pod.name';

type Named = Pick<Container, 'labels' | 'metadata' | 'pod_sandbox_id'>;

/** The name to show. Where the pod's name is not among the labels, the pod's id stands for it. */
export function containerName({ labels, metadata, pod_sandbox_id }: Named): string {
  const own = labels[nameLabel];
  if (own !== undefined) return own;
  const pod = labels[podNameLabel] ?? pod_sandbox_id.slice(0, 12);
  return `${pod}/${metadata?.name ?? ''}`;
}

/** As docker shows ids. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}
