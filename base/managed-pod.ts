/**
 * Labels and annotations of pods that an operator's tool made and no kubelet knows. The daemon does for them what a kubelet
 * does for its own: it ends and removes them when their time has come. Labels and annotations of a kubelet's pods come from
 * whoever wrote the manifest, so none of this counts for them.
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

/** File systems in memory, a JSON object: options by path. */
export const tmpfsAnnotation = 'dev.berth/tmpfs';

/** Limits of processes (getrlimit(2)), a JSON object: `[soft, hard]` by name, -1 for none. */
export const limitsAnnotation = 'dev.berth/ulimits';

/** `true`: the first process is an init that starts the command and reaps what it leaves. */
export const initAnnotation = 'dev.berth/init';

/** Of a pod: bytes of its /dev/shm. */
export const shmSizeAnnotation = 'dev.berth/shm-size';

/** Of a pod: lines for /etc/hosts beyond the node's, a JSON list of `IP NAME`. */
export const hostsAnnotation = 'dev.berth/hosts';

/** How long a stop waits before it kills, in seconds, where the one who stops does not say. */
export const stopSecondsAnnotation = 'dev.berth/stop-seconds';

/** A kubelet puts it on all that it makes, whatever a manifest says. */
const kubeletLabel = 'io.kubernetes.pod.uid';

type Marked = Readonly<Record<string, string>>;

/** Never one that a kubelet knows, whatever its author wrote. */
export function isManagedPod(labels: Marked): boolean {
  return labels[managedByLabel] !== undefined && labels[kubeletLabel] === undefined;
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

export interface ManagedExtras {
  /** Options by path. */
  readonly tmpfs: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, { readonly soft: number; readonly hard: number }>>;
  readonly hasInit: boolean;
}

/** What a container has beyond what the CRI can say; undefined for nothing, and for pods of a kubelet. */
export function extrasOf(podLabels: Marked, annotations: Marked): ManagedExtras | undefined {
  if (!isManagedPod(podLabels)) return undefined;
  const tmpfs = Object.entries(asObject(parsed(annotations[tmpfsAnnotation]))).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  const limits = Object.entries(asObject(parsed(annotations[limitsAnnotation]))).flatMap(([name, pair]) => {
    const [soft, hard] = Array.isArray(pair) ? pair : [];
    return Number.isInteger(soft) && Number.isInteger(hard) ? [[name, { soft, hard }] as const] : [];
  });
  const hasInit = annotations[initAnnotation] === 'true';
  if (tmpfs.length === 0 && limits.length === 0 && !hasInit) return undefined;
  return { tmpfs: Object.fromEntries(tmpfs), limits: Object.fromEntries(limits), hasInit };
}

/** Bytes of a pod's /dev/shm; undefined for the usual. */
export function shmBytesOf(podLabels: Marked, annotations: Marked): number | undefined {
  const bytes = isManagedPod(podLabels) ? Number(annotations[shmSizeAnnotation]) : Number.NaN;
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
}

/** Lines for a pod's /etc/hosts beyond the node's. */
export function hostLinesOf(podLabels: Marked, annotations: Marked): readonly string[] {
  const found = isManagedPod(podLabels) ? parsed(annotations[hostsAnnotation]) : undefined;
  return Array.isArray(found)
    ? found.filter((line): line is string => typeof line === 'string' && /^[0-9a-f.:]+ \S+$/i.test(line))
    : [];
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
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
