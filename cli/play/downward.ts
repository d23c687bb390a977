/** What a pod may know of itself: `fieldRef` and `resourceFieldRef` (the downward API). */
import type { PodPlace } from './key-stores.ts';
import type { Metadata, PodSpec, ResourceFieldRef } from './manifest.ts';
import type { Late, PodFacts } from './plan.ts';
import { parseQuantity } from './shape.ts';

export type Identity = Required<Metadata>;

const plainPaths = ['metadata.name', 'metadata.namespace', 'metadata.uid'];
const environmentPaths = [
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];
const filePaths = ['metadata.labels', 'metadata.annotations'];
const subscript = /^metadata\.(labels|annotations)\['([^']+)'\]$/;

export function checkFieldPath(path: string, use: 'env' | 'file', at: PodPlace): void {
  const known = [...plainPaths, ...(use === 'env' ? environmentPaths : filePaths)];
  if (!known.includes(path) && !subscript.test(path))
    at.source.problem(
      at.path,
      `${path} is no field that can be had; there are ${known.join(', ')} and metadata.labels['NAME']`,
    );
}

export function fieldValue(path: string, identity: Identity, facts: PodFacts): string {
  const match = subscript.exec(path);
  if (match !== null) return identity[match[1] as 'labels' | 'annotations'][match[2]!] ?? '';
  const values: Readonly<Record<string, string>> = {
    'metadata.name': identity.name,
    'metadata.namespace': identity.namespace,
    'metadata.uid': identity.uid,
    'metadata.labels': lines(identity.labels),
    'metadata.annotations': lines(identity.annotations),
    'spec.nodeName': facts.nodeName,
    'spec.serviceAccountName': 'default',
    'status.hostIP': facts.hostIp,
    'status.hostIPs': facts.hostIp,
    'status.podIP': facts.podIps[0] ?? '',
    'status.podIPs': facts.podIps.join(','),
  };
  return values[path] ?? '';
}

/** Sorted, a line each, as Kubernetes writes them. */
function lines(map: Readonly<Record<string, string>>): string {
  return Object.keys(map)
    .sort()
    .map((key) => `${key}=${JSON.stringify(map[key])}\n`)
    .join('');
}

/** undefined, and a problem told, for what cannot be had. */
export function resourceValue(
  ref: ResourceFieldRef,
  spec: PodSpec,
  ownName: string | undefined,
  at: PodPlace,
): Late | undefined {
  const [kind, name] = ref.resource.split(/\.(.*)/s) as ['limits' | 'requests', string];
  if (!/^(limits|requests)\.(cpu|memory|ephemeral-storage)$/.test(ref.resource)) {
    at.source.problem(
      at.path,
      `${ref.resource} is none of limits.cpu, limits.memory, requests.cpu and requests.memory`,
    );
    return undefined;
  }
  const wanted = ref.containerName ?? ownName;
  const container = [...(spec.initContainers ?? []), ...spec.containers].find((one) => one.name === wanted);
  if (container === undefined) {
    at.source.problem(
      at.path,
      wanted === undefined ? 'containerName is missing' : `there is no container ${wanted}`,
    );
    return undefined;
  }
  const { limits = {}, requests = {} } = container.resources ?? {};
  const given = parseQuantity(kind === 'limits' ? limits[name] : (requests[name] ?? limits[name]));
  const divisor = parseQuantity(ref.divisor) || 1;
  return ({ cpus, memoryBytes }) => {
    const whole = kind === 'limits' ? (name === 'cpu' ? cpus : memoryBytes) : 0;
    return String(Math.ceil((given ?? whole) / divisor));
  };
}
