/** What containers use, in rows that `stats` and `top` show. */
import { type Container, ContainerState, type ContainerStats } from '#proto/generated/cri.ts';
import type { CallOptions, Connection } from './connection.ts';
import { listContainers } from './containers.ts';
import { containerName, shortId } from './names.ts';
import type { Column } from './output.ts';
import { formatSize } from './quantity.ts';

export interface Usage {
  readonly id: string;
  readonly name: string;
  /** Of one processor; undefined at the first look. */
  readonly cpuPercent: number | undefined;
  readonly memoryBytes: number;
  /** undefined without a limit. */
  readonly memoryLimitBytes: number | undefined;
  readonly memoryPercent: number | undefined;
  readonly diskBytes: number;
  readonly networkInBytes: number;
  readonly networkOutBytes: number;
  readonly processes: number | undefined;
}

/** Processor time at an earlier look, for a rate. */
interface CpuReading {
  readonly atNs: bigint;
  readonly usedNs: bigint;
}

/** Asks again and again, and keeps what rates need. */
export class UsageReader {
  readonly #connection: Connection;
  #earlier = new Map<string, CpuReading>();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Running containers, or those of `wanted` by id. Throws CallError. */
  async read(wanted: ReadonlySet<string> | undefined, options: CallOptions): Promise<readonly Usage[]> {
    const [containers, { stats }, pods] = await Promise.all([
      listContainers(this.#connection, options),
      this.#connection.call('ListContainerStats', {}, options),
      this.#connection.call('ListPodSandboxStats', {}, options),
    ]);
    const byId = new Map(stats.map((entry) => [entry.attributes?.id, entry]));
    const networks = new Map(pods.stats.map((pod) => [pod.attributes?.id, pod.linux]));
    const readings = new Map<string, CpuReading>();
    const rows = containers
      .filter(({ id, state }) => (wanted ? wanted.has(id) : state === ContainerState.CONTAINER_RUNNING))
      .map((container) => {
        const entry = byId.get(container.id);
        const pod = networks.get(container.pod_sandbox_id);
        const network = pod?.network?.default_interface;
        return {
          ...this.#toUsage(container, entry, readings),
          networkInBytes: Number(network?.rx_bytes?.value ?? 0n),
          networkOutBytes: Number(network?.tx_bytes?.value ?? 0n),
          // The CRI counts processes by pod: with one container that is its own.
          processes:
            pod?.process?.process_count !== undefined && pod.containers.length <= 1
              ? Number(pod.process.process_count.value)
              : undefined,
        };
      });
    this.#earlier = readings;
    return rows;
  }

  #toUsage(container: Container, stats: ContainerStats | undefined, readings: Map<string, CpuReading>) {
    const { id } = container;
    const used = stats?.cpu?.usage_core_nano_seconds?.value;
    const atNs = stats?.cpu?.timestamp ?? 0n;
    const before = this.#earlier.get(id);
    if (used !== undefined) readings.set(id, { atNs, usedNs: used });
    const rate =
      used !== undefined && before !== undefined && atNs > before.atNs
        ? (Number(used - before.usedNs) / Number(atNs - before.atNs)) * 100
        : undefined;
    const memoryBytes = Number(stats?.memory?.working_set_bytes?.value ?? 0n);
    const available = Number(stats?.memory?.available_bytes?.value ?? 0n);
    // Without a limit the daemon has nothing to say about what is left.
    const limit = available > 0 && available < 2 ** 53 ? memoryBytes + available : undefined;
    return {
      id,
      name: containerName(container),
      cpuPercent: rate,
      memoryBytes,
      memoryLimitBytes: limit,
      memoryPercent: limit === undefined ? undefined : (memoryBytes / limit) * 100,
      diskBytes: Number(stats?.writable_layer?.used_bytes?.value ?? 0n),
    };
  }
}

const percent = (value: number | undefined): string => (value === undefined ? '-' : `${value.toFixed(1)}%`);

export const usageColumns: readonly Column<Usage>[] = [
  { title: 'CONTAINER ID', value: ({ id }) => shortId(id) },
  { title: 'NAME', value: ({ name }) => name },
  { title: 'CPU %', align: 'right', value: ({ cpuPercent }) => percent(cpuPercent) },
  {
    title: 'MEM USAGE / LIMIT',
    align: 'right',
    value: ({ memoryBytes, memoryLimitBytes }) =>
      `${formatSize(memoryBytes, 1024)} / ${memoryLimitBytes === undefined ? '-' : formatSize(memoryLimitBytes, 1024)}`,
  },
  { title: 'MEM %', align: 'right', value: ({ memoryPercent }) => percent(memoryPercent) },
  {
    title: 'NET I/O',
    align: 'right',
    value: ({ networkInBytes, networkOutBytes }) =>
      `${formatSize(networkInBytes)} / ${formatSize(networkOutBytes)}`,
  },
  { title: 'DISK', align: 'right', value: ({ diskBytes }) => formatSize(diskBytes) },
  {
    title: 'PIDS',
    align: 'right',
    value: ({ processes }) => (processes === undefined ? '-' : String(processes)),
  },
];

export const sortNames = ['cpu', 'memory', 'name', 'net', 'disk', 'pids'] as const;
export type SortName = (typeof sortNames)[number];

/** Largest first; names by the alphabet. */
export function sortUsage(rows: readonly Usage[], by: SortName): Usage[] {
  const values: Readonly<Record<Exclude<SortName, 'name'>, (row: Usage) => number>> = {
    cpu: ({ cpuPercent }) => cpuPercent ?? 0,
    memory: ({ memoryBytes }) => memoryBytes,
    net: ({ networkInBytes, networkOutBytes }) => networkInBytes + networkOutBytes,
    disk: ({ diskBytes }) => diskBytes,
    pids: ({ processes }) => processes ?? 0,
  };
  if (by === 'name') return rows.toSorted((a, b) => a.name.localeCompare(b.name));
  const value = values[by];
  return rows.toSorted((a, b) => value(b) - value(a) || a.name.localeCompare(b.name));
}
