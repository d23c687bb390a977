/**
 * How users name containers. One that `berth` made has a name of its own; one of a pod that somebody else made is called
 * `POD/CONTAINER`. An id, or the beginning of one, always does.
 */
import type { Container } from '#proto/generated/cri.ts';

/** Labels of what `berth` makes. The first says to the daemon that no kubelet knows the pod. */
export const managedByLabel = 'dev.berth/managed-by';
export const managedByCli = 'berth-cli';
export const nameLabel = 'dev.berth/name';

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
