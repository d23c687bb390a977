/** What the status page shows, as plain data: also served as /status.json. No environments, commands, labels or annotations. */
import { statfsSync } from 'node:fs';
import { hostname } from 'node:os';
import type { NodeInsight } from '../insight.ts';
import type { SlowSpan, SlowSpans } from '../slow-spans.ts';
import { version } from '../version.ts';

export interface ContainerLine {
  readonly id: string;
  readonly name: string;
  readonly attempt: number;
  readonly image: string;
  readonly state: string;
  /** Why it ended; '' before. */
  readonly reason: string;
  readonly exitCode: number;
  /** When it came into this state, milliseconds since the epoch. */
  readonly sinceMs: number;
}

export interface PodLine {
  readonly id: string;
  readonly name: string;
  readonly namespace: string;
  readonly state: string;
  readonly handler: string;
  readonly ips: readonly string[];
  readonly createdAtMs: number;
  readonly containers: readonly ContainerLine[];
}

export interface NodeStatus {
  readonly node: string;
  readonly version: string;
  readonly atMs: number;
  readonly startedAtMs: number;
  readonly memoryBytes: number;
  readonly isReady: boolean;
  readonly network: { readonly isReady: boolean; readonly message: string };
  readonly streamingSessions: number;
  readonly pods: readonly PodLine[];
  readonly images: readonly {
    readonly id: string;
    readonly names: readonly string[];
    readonly sizeBytes: number;
  }[];
  readonly layers: { readonly count: number; readonly usedBytes: number; readonly snapshots: number };
  readonly pulls: readonly {
    readonly image: string;
    readonly startedAtMs: number;
    readonly layers: readonly {
      readonly digest: string;
      readonly sizeBytes: number;
      readonly receivedBytes: number;
    }[];
  }[];
  readonly disks: readonly {
    readonly folder: string;
    readonly sizeBytes: number;
    readonly freeBytes: number;
  }[];
  readonly slow: readonly SlowSpan[];
}

const toMs = (ns: bigint): number => Number(ns / 1_000_000n);

function podsOf(insight: NodeInsight): PodLine[] {
  const byPod = new Map<string, ContainerLine[]>();
  for (const record of insight.listContainers()) {
    const { name, attempt } = record.config.metadata;
    const sinceNs =
      record.state === 'exited'
        ? record.finishedAtNs
        : record.state === 'running'
          ? record.startedAtNs
          : record.createdAtNs;
    const line: ContainerLine = {
      id: record.id,
      name,
      attempt,
      image: record.imageName,
      state: record.state,
      reason: record.reason,
      exitCode: record.exitCode,
      sinceMs: toMs(sinceNs),
    };
    byPod.set(record.sandboxId, [...(byPod.get(record.sandboxId) ?? []), line]);
  }
  return insight
    .listSandboxes()
    .map(({ id, config, state, runtimeHandler, ips, createdAtNs }) => ({
      id,
      name: config.metadata.name,
      namespace: config.metadata.namespace,
      state,
      handler: runtimeHandler,
      ips,
      createdAtMs: toMs(createdAtNs),
      containers: (byPod.get(id) ?? []).toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    }))
    .toSorted((a, b) => b.createdAtMs - a.createdAtMs);
}

/** Gathers everything; nothing is started but what CNI plugins are asked for readiness. Never rejects for what one part says. */
export async function gatherStatus(insight: NodeInsight, slow: SlowSpans): Promise<NodeStatus> {
  const { layers, layerBytes, active } = insight.snapshots();
  const { isReady, message } = await insight.networkStatus();
  return {
    node: hostname(),
    version: version(),
    atMs: Date.now(),
    startedAtMs: Math.round(Date.now() - process.uptime() * 1000),
    memoryBytes: process.memoryUsage.rss(),
    isReady: insight.isReady(),
    network: { isReady, message },
    streamingSessions: insight.streamingSessions(),
    pods: podsOf(insight),
    images: insight
      .listImages()
      .map(({ id, repoTags, repoDigests, sizeBytes }) => ({
        id,
        names: repoTags.length > 0 ? repoTags : repoDigests,
        sizeBytes,
      }))
      .toSorted((a, b) => b.sizeBytes - a.sizeBytes),
    layers: { count: layers, usedBytes: layerBytes, snapshots: active },
    pulls: insight.listPulls().map(({ reference, startedAtMs, layers: parts }) => ({
      image: reference,
      startedAtMs,
      layers: parts,
    })),
    disks: [insight.rootDir, insight.stateDir].map((folder) => {
      const { blocks, bavail, bsize } = statfsSync(folder);
      return { folder, sizeBytes: blocks * bsize, freeBytes: bavail * bsize };
    }),
    slow: slow.list(),
  };
}
