import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Finding } from '#base/finding.ts';
import { type AuditInput, idIn, isLiveContainer, isSettledSandbox, Owners } from './machine.ts';

const idPattern = /^[0-9a-f]{64}$/;

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // nothing was ever made there
  }
}

/** Bundles, files of sandboxes, exit files, attach links, volumes, files of execs, folders of the OCI runtimes. */
export function auditFolders(input: AuditInput): Finding[] {
  return [
    ...findUnowned(input),
    ...findLeftExecs(input),
    ...auditRuntimeFolders(input),
    ...findMissing(input),
  ];
}

function leak(what: string, id: string, path: string): Finding {
  return { kind: 'leak', what, id, path, mend: `rm -r ${path}, or start berthd, which does it` };
}

function findUnowned(input: AuditInput): Finding[] {
  const { paths } = input;
  const owners = new Owners(input);
  const places = [
    ['bundle', join(paths.roots.state, 'bundles')],
    ['sandbox files', join(paths.roots.state, 'sandboxes')],
    ['exit file', paths.exits],
    ['attach link', paths.sockets],
    ['volume', join(paths.roots.root, 'volumes')],
    ['checkpoint to restore', join(paths.roots.root, 'restores')],
    ['namespace file', paths.namespaces],
  ] as const;
  const unowned = places.flatMap(([what, directory]) =>
    list(directory)
      .filter((name) => !owners.isKnown(idIn(name)))
      .map((name) => leak(what, idIn(name), join(directory, name))),
  );
  const pins = list(paths.roots.netns)
    .filter((name) => name.startsWith('berth-') && !owners.hasSandboxWith(name.slice(6)))
    .map((name) => leak('namespace file', '', join(paths.roots.netns, name)));
  const mapped = list(join(paths.roots.state, 'm'))
    .filter((name) => !owners.hasSandboxWith(name))
    .map((name) => leak('mapped layers', '', join(paths.roots.state, 'm', name)));
  // Only what was cut short while it was made or removed: a volume that nothing uses is somebody's data. See also names.ts.
  const volumes = list(paths.namedVolumes)
    .filter((name) => name.startsWith('.'))
    .map((name) => leak('volume', '', join(paths.namedVolumes, name)));
  // A kubelet's pods have their log folders of the kubelet, also where Berth made one that was not there yet: it removes them.
  const logFolders = new Set(input.sandboxes.map(({ config }) => resolve(config.logDirectory)));
  const logs = list(paths.logs)
    .map((name) => join(paths.logs, name))
    // A record that cannot be read may name any of them.
    .filter((folder) => input.damaged.length === 0 && !logFolders.has(folder))
    .map((folder) => leak('log folder', '', folder));
  return [...unowned, ...pins, ...mapped, ...volumes, ...logs];
}

/** Files of execs carry the pid of the daemon that made them: those of another daemon are over. */
function findLeftExecs({ paths, daemonPid }: AuditInput): Finding[] {
  const isLeft = (pid: string | undefined) => pid !== undefined && Number(pid) !== daemonPid;
  const bundles = join(paths.roots.state, 'bundles');
  const files = list(bundles).flatMap((id) =>
    list(join(bundles, id))
      .filter((name) => isLeft(/^exec-(\d+)-/.exec(name)?.[1]))
      .map((name) => leak('exec file', id, join(bundles, id, name))),
  );
  const consoles = join(paths.roots.state, 'console');
  const sockets = list(consoles)
    .filter((name) => isLeft(/^(\d+)-/.exec(name)?.[1]))
    .map((name) => leak('console socket', '', join(consoles, name)));
  return [...files, ...sockets];
}

function auditRuntimeFolders(input: AuditInput): Finding[] {
  const { containers, paths } = input;
  const owners = new Owners(input);
  const root = join(paths.roots.state, 'oci');
  const held = new Set<string>();
  const leaks = list(root).flatMap((handler) =>
    list(join(root, handler))
      .filter((name) => idPattern.test(name))
      .flatMap((id) => {
        held.add(id);
        return owners.mayLive(id) ? [] : [leak('oci runtime state', id, join(root, handler, id))];
      }),
  );
  const missing = containers
    .filter((record) => isLiveContainer(record) && !held.has(record.id))
    .map(({ id, handler }): Finding => {
      const mend = 'stop and remove the container';
      return { kind: 'missing', what: 'oci runtime state', id, path: join(root, handler, id), mend };
    });
  return [...leaks, ...missing];
}

function findMissing(input: AuditInput): Finding[] {
  const { sandboxes, containers, paths } = input;
  const owners = new Owners(input);
  const bundles = new Set(list(join(paths.roots.state, 'bundles')));
  const files = new Set(list(join(paths.roots.state, 'sandboxes')));
  const missing = (what: string, id: string, path: string): Finding => ({
    kind: 'missing',
    what,
    id,
    path,
    mend: 'remove the pod; the kubelet makes another',
  });
  return [
    ...containers
      .filter((record) => isLiveContainer(record) && !bundles.has(record.id))
      .map(({ id }) => missing('bundle', id, paths.bundle(id))),
    ...sandboxes
      .filter((record) => isSettledSandbox(record) && !files.has(record.id))
      .map(({ id }) => missing('sandbox files', id, paths.sandbox(id))),
    ...containers
      .filter(({ sandboxId }) => !owners.isKnown(sandboxId))
      .map(({ id, sandboxId }): Finding => {
        const mend = 'remove the container';
        return { kind: 'missing', what: 'sandbox of a container', id, path: sandboxId, mend };
      }),
    // The log itself may be away for a moment while it is rotated; its folder is there as long as the pod is.
    ...containers
      .filter(
        (record) => isLiveContainer(record) && record.logPath !== '' && !existsSync(dirname(record.logPath)),
      )
      .map(({ id, logPath }): Finding => {
        const mend = 'make the folder again, then restart the container: nobody can read what it writes';
        return { kind: 'missing', what: 'log folder', id, path: dirname(logPath), mend };
      }),
  ];
}
