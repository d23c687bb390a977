import type { Finding } from '#base/finding.ts';
import { isNamespacePin, listMounts } from '#host/mount.ts';
import { type AuditInput, idIn, isLiveContainer, isSettledSandbox, Owners } from './machine.ts';

/** Mounts and pinned namespaces: each belongs to a record that may have it, and those that records count on are there. */
export function auditMounts(input: AuditInput): Finding[] {
  return [...findLeakedMounts(input), ...findMissingMounts(input)];
}

function findLeakedMounts(input: AuditInput): Finding[] {
  const { paths } = input;
  const { state, netns, root } = paths.roots;
  const owners = new Owners(input);
  const isAllowed = (point: string): boolean => {
    if (point === paths.namespaces) return true;
    if (point.startsWith(`${netns}/berth-`)) return owners.hasSandboxWith(point.slice(netns.length + 7));
    if (point.startsWith(`${state}/m/`)) return owners.hasSandboxWith(point.slice(state.length + 3));
    const id = idIn(point);
    return point.startsWith(`${state}/bundles/`) ? owners.mayLive(id) : owners.isKnown(id);
  };
  return listMounts().flatMap(({ mountPoint, type }) => {
    const isOurs =
      mountPoint.startsWith(`${state}/`) ||
      mountPoint.startsWith(`${netns}/berth-`) ||
      mountPoint.startsWith(`${root}/volumes/`);
    if (!isOurs || isAllowed(mountPoint)) return [];
    const what = type === 'nsfs' ? 'namespace' : 'mount';
    const mend = `umount ${mountPoint}`;
    return [{ kind: 'leak', what, id: idIn(mountPoint), path: mountPoint, mend } as const];
  });
}

function findMissingMounts({ sandboxes, containers, paths }: AuditInput): Finding[] {
  const points = new Set(listMounts().map(({ mountPoint }) => mountPoint));
  const missing = (what: string, id: string, path: string): Finding => ({
    kind: 'missing',
    what,
    id,
    path,
    mend: 'remove the pod; the kubelet makes another',
  });
  const ofSandboxes = sandboxes.filter(isSettledSandbox).flatMap((record) => {
    const pins = [record.netnsPath, record.ipcnsPath, record.utsnsPath, record.usernsPath];
    const shm = `${paths.sandbox(record.id)}/shm`;
    return [
      ...pins
        .filter((path) => path !== '' && !isNamespacePin(path))
        .map((path) => missing('namespace', record.id, path)),
      ...(record.ipcnsPath !== '' && !points.has(shm) ? [missing('mount', record.id, shm)] : []),
    ];
  });
  const ofContainers = containers
    .filter((record) => isLiveContainer(record) && !points.has(paths.rootfs(record.id)))
    .map((record) => missing('mount', record.id, paths.rootfs(record.id)));
  return [...ofSandboxes, ...ofContainers];
}
