/**
 * Names: of pods, of containers and of volumes. Nothing reserves a name but the record or the folder that has it, so no two may
 * have the same: a client that asks again is answered with one of them, and knows nothing of the other.
 */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Finding } from '#base/finding.ts';
import { isManagedPod, nameLabel } from '#base/managed-pod.ts';
import type { AuditInput } from './machine.ts';

export function auditNames(input: AuditInput): Finding[] {
  return [
    ...findSharedPodNames(input),
    ...findSharedContainerNames(input),
    ...findSharedLabels(input),
    ...auditNamedVolumes(input),
  ];
}

interface Named {
  readonly id: string;
  /** As people read it. */
  readonly name: string;
  /** What makes it the same as another. */
  readonly key: string;
}

/** All that have a name which others have too, each with those others. */
function listShared(named: readonly Named[]): { one: Named; others: string[] }[] {
  const holders = new Map<string, Named[]>();
  for (const one of named) holders.set(one.key, [...(holders.get(one.key) ?? []), one]);
  return [...holders.values()]
    .filter(({ length }) => length > 1)
    .flatMap((same) =>
      same.map((one) => ({ one, others: same.filter(({ id }) => id !== one.id).map(({ id }) => id) })),
    );
}

function conflicts(what: string, named: readonly Named[], mend: string): Finding[] {
  return listShared(named).map(({ one: { id, name }, others }) => {
    const also = others.map((other) => other.slice(0, 12)).join(', ');
    return { kind: 'conflict', what, id, path: name, mend: `${also} has it too: ${mend}` };
  });
}

/** As RunPodSandbox compares them: also one that is being made, stopped or removed has its name. */
function findSharedPodNames({ sandboxes }: AuditInput): Finding[] {
  const named = sandboxes.map(({ id, config: { metadata } }) => {
    const { namespace, name, uid, attempt } = metadata;
    const key = JSON.stringify([namespace, name, uid, attempt]);
    return { id, key, name: `${namespace}/${name} attempt ${attempt} of uid ${uid}` };
  });
  return conflicts('pod name', named, 'remove the pod that its client does not list');
}

function findSharedContainerNames({ containers }: AuditInput): Finding[] {
  const named = containers.map(({ id, sandboxId, config: { metadata } }) => {
    const { name, attempt } = metadata;
    const key = JSON.stringify([sandboxId, name, attempt]);
    return { id, key, name: `${name} attempt ${attempt} of sandbox ${sandboxId}` };
  });
  return conflicts('container name', named, 'remove the one that is not wanted');
}

/** The names that users give: a label, which a kubelet's pods may have of whoever wrote them. */
function findSharedLabels({ sandboxes, containers }: AuditInput): Finding[] {
  const managed = new Set<string>(
    sandboxes.filter(({ config }) => isManagedPod(config.labels)).map(({ id }) => id),
  );
  const named = containers.flatMap(({ id, sandboxId, config: { labels } }) => {
    const name = labels[nameLabel];
    return name !== undefined && managed.has(sandboxId) ? [{ id, key: name, name }] : [];
  });
  return conflicts("user's name", named, 'give one another name: berth rename');
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // nothing was ever made there
  }
}

function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** A volume is its folder, with what describes it and its data; what is made or removed by halves begins with a dot. */
function auditNamedVolumes({ containers, paths }: AuditInput): Finding[] {
  const folder = paths.namedVolumes;
  const names = list(folder).filter((name) => !name.startsWith('.'));
  const broken = names.flatMap((name): Finding[] => {
    const description = join(folder, name, 'volume.json');
    const data = join(folder, name, 'data');
    const found: Finding[] = [];
    if (!isDescription(description)) {
      const mend = `keep what is in ${data}, then remove ${join(folder, name)}`;
      found.push({ kind: 'missing', what: 'volume description', id: '', path: description, mend });
    }
    if (!isFolder(data))
      found.push({ kind: 'missing', what: 'volume data', id: '', path: data, mend: 'restart berthd' });
    return found;
  });
  const users = new Map<string, string>();
  for (const { id, config } of containers)
    for (const { hostPath } of config.mounts)
      if (typeof hostPath === 'string' && hostPath.startsWith(`${folder}/`))
        users.set(hostPath.slice(folder.length + 1).split('/')[0]!, id);
  const gone = [...users]
    .filter(([name]) => !names.includes(name))
    .map(([name, id]): Finding => {
      const mend = `its data is gone: berth volume create ${basename(name)}, or remove the container`;
      return { kind: 'missing', what: 'volume', id, path: join(folder, name), mend };
    });
  return [...broken, ...gone];
}

function isDescription(path: string): boolean {
  try {
    const { createdAtNs } = JSON.parse(readFileSync(path, 'utf8')) as { createdAtNs?: unknown };
    return typeof createdAtNs === 'string';
  } catch {
    return false; // gone or damaged: the volume cannot be listed
  }
}
