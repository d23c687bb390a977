/**
 * Labels and annotations of pods that an operator's tool made and no kubelet knows. The daemon does for them what a kubelet
 * does for its own: it ends and removes them when their time has come. Labels of a kubelet's pods come from whoever wrote the
 * manifest, so nothing here gives a pod more than it would have without.
 */

/** Says that no kubelet knows the pod; the value names the tool. Its containers can be revived. */
export const managedByLabel = 'dev.berth/managed-by';

/** The name that users know a container by. */
export const nameLabel = 'dev.berth/name';

/**
 * What becomes of a managed pod when all its containers have exited: `stop` gives back its address and ports, `remove`
 * removes it. Without the label nothing happens.
 */
export const onExitLabel = 'dev.berth/on-exit';

/** `none`: the pod has a network namespace with a loopback and nothing else. */
export const networkAnnotation = 'dev.berth/network';

/** Most processes of a container, where that is fewer than the daemon's own limit. */
export const pidsLimitAnnotation = 'dev.berth/pids-limit';

type Marked = Readonly<Record<string, string>>;

export function isManagedPod(labels: Marked): boolean {
  return labels[managedByLabel] !== undefined;
}

/** undefined for a pod that stays as it is. */
export function onExitOf(labels: Marked): 'stop' | 'remove' | undefined {
  const wanted = isManagedPod(labels) ? labels[onExitLabel] : undefined;
  return wanted === 'stop' || wanted === 'remove' ? wanted : undefined;
}

/** Whether a pod with these marks is attached to no network. */
export function hasNoNetwork(labels: Marked, annotations: Marked): boolean {
  return isManagedPod(labels) && annotations[networkAnnotation] === 'none';
}

/** The lower of the daemon's limit and the container's own; 0 for none. */
export function pidsLimitOf(annotations: Marked, daemonLimit: number): number {
  const own = Number(annotations[pidsLimitAnnotation]);
  if (!Number.isInteger(own) || own <= 0) return daemonLimit;
  return daemonLimit > 0 ? Math.min(own, daemonLimit) : own;
}
