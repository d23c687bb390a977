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

/** Paths of a container at which it gets an anonymous volume, a JSON list: as if its image declared them. */
export const volumesAnnotation = 'dev.berth/volumes';

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

/** What `volumesAnnotation` says of a container in a pod with these labels; [] for nothing that can be read. */
export function volumePathsOf(podLabels: Marked, annotations: Marked): readonly string[] {
  const found = isManagedPod(podLabels) ? parsed(annotations[volumesAnnotation]) : undefined;
  return Array.isArray(found) ? found.filter((path): path is string => isAbsolute(path)) : [];
}

function isAbsolute(path: unknown): boolean {
  return typeof path === 'string' && path.startsWith('/');
}

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined; // whoever wrote it does not know what is read here
  }
}
