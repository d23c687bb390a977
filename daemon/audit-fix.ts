/**
 * Removes what an audit found to be nobody's. Only with no daemon running, under its locks, and only what is surely Berth's:
 * everything else is left, with the words that say what to do. Missing things are never made up.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '#base/errors.ts';
import type { Finding } from '#base/finding.ts';
import { detectCgroupLayout, listGroupProcesses, removeGroup } from '#host/cgroup.ts';
import { takeBackShortening } from '#host/grace-periods.ts';
import { sendSignal } from '#host/launch.ts';
import { lockFile } from '#host/lock-file.ts';
import { listMounts, unmountAll } from '#host/mount.ts';
import { unpinNamespace } from '#host/namespaces.ts';
import { listDescendants } from '#host/proc.ts';
import { auditNode, type NodeAuditOptions } from './audit.ts';
import type { Config } from './config/options.ts';

export interface FixResult {
  readonly fixed: readonly Finding[];
  /** With the reason, where there is one besides that it is for a person or for berthd to do. */
  readonly left: readonly { readonly finding: Finding; readonly reason: string }[];
}

const sigkill = 9;

/** Programs first, then what they held, then the folders below it. */
const order = ['process', 'cgroup', 'mount', 'namespace', 'namespace file', 'mapped layers'];

const folders: ReadonlySet<string> = new Set([
  'bundle',
  'sandbox files',
  'exit file',
  'attach link',
  'volume',
  'exec file',
  'console socket',
  'oci runtime state',
]);

/** Throws FailedPrecondition while a daemon runs, NotFound if there is no state database. */
export async function fixNode(config: Config, options: NodeAuditOptions = {}): Promise<FixResult> {
  const { rootDir, stateDir } = config.daemon;
  const dirs = [rootDir, stateDir];
  for (const dir of dirs) mkdirSync(dir, { recursive: true, mode: 0o711 });
  // Looked at before the locks are ours: they would pass for a daemon's.
  const findings = await auditNode(config, options);
  const releases = dirs.map((dir) => lockFile(join(dir, 'berthd.lock')));
  try {
    const fixed: Finding[] = [];
    const left: { finding: Finding; reason: string }[] = [];
    for (const finding of findings.toSorted((a, b) => rank(a) - rank(b))) {
      try {
        if (fixOne(config, finding)) fixed.push(finding);
        else left.push({ finding, reason: '' });
      } catch (error) {
        left.push({ finding, reason: messageOf(error) });
      }
    }
    return { fixed, left };
  } finally {
    for (const release of releases) release();
  }
}

function rank({ what }: Finding): number {
  const at = order.indexOf(what);
  return at < 0 ? order.length : at;
}

/** False for what is not ours to remove here. */
function fixOne(config: Config, { kind, what, path }: Finding): boolean {
  if (kind !== 'leak') return false;
  const { rootDir, stateDir } = config.daemon;
  const isOurs = [stateDir, join(rootDir, 'volumes'), join(config.network.netnsDir, 'berth-')].some(
    (prefix) => path.startsWith(prefix),
  );
  if (what === 'process') return endProcess(Number.parseInt(path, 10));
  if (what === 'cgroup') return removeEmptyGroup(path);
  if (what === 'address' && path.startsWith(join(rootDir, 'network/'))) return removeTree(path);
  if (what === 'cached CNI result') return removeTree(path);
  if (what === 'kernel setting') {
    takeBackShortening(path);
    return true;
  }
  if (!isOurs) return false;
  if (what === 'mount') {
    unmountAll(path);
    return true;
  }
  if (what === 'namespace' || what === 'namespace file') {
    unpinNamespace(path);
    return true;
  }
  if (what === 'mapped layers') unmountAll(path);
  return folders.has(what) || what === 'mapped layers' ? removeTree(path) : false;
}

function endProcess(pid: number): boolean {
  if (!(pid > 1)) return false;
  for (const child of [...listDescendants(pid), pid]) sendSignal(child, sigkill);
  return true;
}

/** One with processes may be another runtime's: its containers' groups stand beside ours and are named alike. */
function removeEmptyGroup(group: string): boolean {
  const { version } = detectCgroupLayout();
  return listGroupProcesses(version, group).length === 0 && removeGroup(version, group);
}

/** Never through a mount: what is mounted there may be a volume. */
function removeTree(path: string): boolean {
  if (listMounts().some(({ mountPoint }) => mountPoint === path || mountPoint.startsWith(`${path}/`)))
    throw new Error('something is mounted there');
  rmSync(path, { recursive: true, force: true });
  return true;
}
