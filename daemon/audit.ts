/** The audit of a node: what the parts find, put together from the configuration alone. It runs beside the daemon or without. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Finding } from '#base/finding.ts';
import { hasNoNetwork } from '#base/managed-pod.ts';
import { detectCgroupLayout } from '#host/cgroup.ts';
import { findLockHolder } from '#host/lock-file.ts';
import { auditImages } from '#images/audit.ts';
import { type AuditedPod, auditNetwork } from '#network/audit.ts';
import { auditRuntime } from '#runtime/audit.ts';
import { RuntimePaths } from '#runtime/paths.ts';
import { isContainerRecord, isSandboxRecord } from '#runtime/record-shape.ts';
import type { SandboxRecord } from '#runtime/sandbox/record.ts';
import { openDatabaseReadOnly } from '#state/database.ts';
import { loadRecords } from '#state/record-table.ts';
import type { Config } from './config/options.ts';

export interface NodeAuditOptions {
  /** Further cgroups below which containers may have been; those of pods that exist and the kubelet's are looked at anyway. */
  readonly cgroupParents?: readonly string[];
  /** Looks beside a running daemon; what is not seen by all of them was work under way. Default 3. */
  readonly looks?: number;
  /** Between looks. Default 300. */
  readonly pauseMs?: number;
  /**
   * Also ask the CNI plugins of every ready pod whether its attachment is as it was (CHECK). That runs programs, which may take
   * long on a node with many pods.
   */
  readonly checksAttachments?: boolean;
  /** How long the plugins of one attachment may take for that. Default 10,000. */
  readonly checkTimeoutMs?: number;
  /** Also beside a running daemon, hold what no image needs for a leak: no pull is under way, and none failed lately. */
  readonly arePullsOver?: boolean;
}

/**
 * Compares the records of a node with the machine. Beside a running daemon it looks several times and reports what it saw
 * every time. Throws NotFound if there is no state database.
 */
export async function auditNode(config: Config, options: NodeAuditOptions = {}): Promise<Finding[]> {
  let findings = await lookOnce(config, options);
  for (let look = 1; look < (options.looks ?? 3) && findings.length > 0; look += 1) {
    if (findDaemon(config) === undefined) break;
    await delay(options.pauseMs ?? 300);
    const again = new Set((await lookOnce(config, options)).map(keyOf));
    findings = findings.filter((finding) => again.has(keyOf(finding)));
  }
  return options.checksAttachments === true
    ? [...findings, ...(await checkPods(config, options.checkTimeoutMs))]
    : findings;
}

/** What is wrong with the attachments of pods that are ready before and after they are looked at. */
async function checkPods(config: Config, checkTimeoutMs: number | undefined): Promise<Finding[]> {
  const attached = listAttached(config);
  if (attached.length === 0) return [];
  const [{ CniPodNetwork }, { checkAttachments }, { pino }] = await Promise.all([
    import('#network/cni-pod-network.ts'),
    import('#network/check-attachments.ts'),
    import('pino'),
  ]);
  // Not started: it watches nothing and changes nothing.
  const network = new CniPodNetwork({
    confDir: config.network.cniConfigDir,
    pluginDirs: config.network.cniPluginDirs,
    cacheDir: config.network.cniCacheDir,
    stateDir: join(config.daemon.rootDir, 'network'),
    defaultNetwork: false,
    log: pino({ level: 'silent' }),
    now: Date.now,
    ...(checkTimeoutMs === undefined ? {} : { checkTimeoutMs }),
  });
  const findings = await checkAttachments(network, attached);
  const still = new Set(findings.length === 0 ? [] : listAttached(config));
  return findings.filter(({ id }) => still.has(id));
}

/** Ids of ready pods with a network of their own. */
function listAttached(config: Config): string[] {
  const database = openDatabaseReadOnly(join(config.daemon.rootDir, 'state.db'));
  try {
    return loadRecords(database, 'sandboxes', isSandboxRecord)
      .records.map(toAuditedPod)
      .filter(({ isReady, netnsPath }) => isReady && netnsPath !== '')
      .map(({ id }) => id);
  } finally {
    database.close();
  }
}

function toAuditedPod({ id, state, isRemoving, netnsPath, cniResult, config }: SandboxRecord): AuditedPod {
  return {
    id,
    isReady: state === 'ready' && !isRemoving,
    isChanging: state === 'initializing' || isRemoving,
    netnsPath: hasNoNetwork(config.labels, config.annotations) ? '' : netnsPath,
    cniResult,
  };
}

/** The pid of the daemon that uses these folders; undefined if none runs. */
export function findDaemon(config: Config): number | undefined {
  return findLockHolder(join(config.daemon.stateDir, 'berthd.lock'));
}

function keyOf({ kind, what, id, path }: Finding): string {
  return JSON.stringify([kind, what, id, path]);
}

async function lookOnce(config: Config, options: NodeAuditOptions): Promise<Finding[]> {
  const { rootDir, stateDir } = config.daemon;
  const daemonPid = findDaemon(config);
  const database = openDatabaseReadOnly(join(rootDir, 'state.db'));
  try {
    const sandboxes = loadRecords(database, 'sandboxes', isSandboxRecord);
    const containers = loadRecords(database, 'containers', isContainerRecord);
    const damaged = [...sandboxes.damaged, ...containers.damaged].map(({ id }) => id);
    const ids = new Set([...sandboxes.records, ...containers.records].map((record): string => record.id));
    for (const id of damaged) ids.add(id);
    const paths = new RuntimePaths({ root: rootDir, state: stateDir, netns: config.network.netnsDir });
    const runtime = auditRuntime({
      sandboxes: sandboxes.records,
      containers: containers.records,
      damaged,
      paths,
      cgroupVersion: detectCgroupLayout().version,
      cgroupParents: options.cgroupParents ?? [],
      daemonPid,
    });
    const images = auditImages({
      database,
      root: rootDir,
      isOwner: (id) => ids.has(id),
      expectedKeys: containers.records
        .filter(({ state, isRemoving }) => (state === 'created' || state === 'running') && !isRemoving)
        .map(({ id }) => id),
      isAtRest: options.arePullsOver ?? daemonPid === undefined,
    });
    const network = await auditNetwork({
      pods: [
        ...sandboxes.records.map(toAuditedPod),
        ...sandboxes.damaged.map(({ id }) => ({
          id,
          isReady: false,
          isChanging: true,
          netnsPath: '',
          cniResult: null,
        })),
      ],
      stateDir: join(rootDir, 'network'),
      confDir: config.network.cniConfigDir,
      cacheDir: config.network.cniCacheDir,
      netnsDir: config.network.netnsDir,
    });
    return [...runtime, ...network, ...images, ...auditGracePeriods(paths)];
  } finally {
    database.close();
  }
}

/** A daemon that was killed while it detached a pod; see host/grace-periods.ts. */
function auditGracePeriods({ gracePeriodNote: path }: RuntimePaths): Finding[] {
  if (!existsSync(path)) return [];
  const mend = 'start berthd, which sets /sys/kernel/rcu_expedited back to 0';
  return [{ kind: 'leak', what: 'kernel setting', id: '', path, mend }];
}
