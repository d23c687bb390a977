import type { Process } from '#proto/berth/generated/admin.ts';
import { ContainerState } from '#proto/generated/cri.ts';
import type { CommandBody } from '../command.ts';
import { findContainer, listContainers } from '../containers.ts';
import { jsonFlag } from '../flags.ts';
import { containerName } from '../names.ts';
import { type Column, tableLines } from '../output.ts';
import { formatDuration, formatSize } from '../quantity.ts';

const sorts: Readonly<Record<string, (row: Row) => number>> = {
  cpu: ({ cpuPercent, process }) => cpuPercent ?? Number(process.cpu_ns) / 1e12,
  memory: ({ process }) => Number(process.resident_bytes),
  time: ({ process }) => Number(process.cpu_ns),
  pid: ({ process }) => -process.pid,
};

interface Row {
  /** Of its container. */
  readonly name: string;
  readonly process: Process;
  /** Of one processor since the look before. */
  readonly cpuPercent: number | undefined;
}

const columns: readonly Column<Row>[] = [
  { title: 'PID', align: 'right', value: ({ process }) => String(process.pid) },
  { title: 'PPID', align: 'right', value: ({ process }) => String(process.parent_pid) },
  { title: 'UID', align: 'right', value: ({ process }) => String(process.uid) },
  { title: 'S', value: ({ process }) => process.state },
  {
    title: 'CPU %',
    align: 'right',
    value: ({ cpuPercent }) => (cpuPercent === undefined ? '-' : cpuPercent.toFixed(1)),
  },
  {
    title: 'CPU TIME',
    align: 'right',
    value: ({ process }) => `${(Number(process.cpu_ns) / 1e9).toFixed(2)} s`,
  },
  { title: 'MEMORY', align: 'right', value: ({ process }) => formatSize(process.resident_bytes, 1024) },
  {
    title: 'UP',
    align: 'right',
    value: ({ process }) => formatDuration(Date.now() - Number(process.started_at / 1_000_000n)),
  },
  { title: 'COMMAND', value: ({ process }) => process.command.join(' ').replaceAll(/[\x00-\x1f\x7f]/g, ' ') },
];

const containerColumn: Column<Row> = { title: 'CONTAINER', value: ({ name }) => name };

export const command: CommandBody = {
  description: [
    'Shows the processes of a running container, or of all without one, with their numbers on this machine. On a terminal it goes on until q; keys c, m, t and p sort by processor, memory, processor time and number.',
  ],
  arguments: [{ name: 'CONTAINER', complete: 'runningContainer' }],
  flags: [
    { long: 'no-stream', kind: 'boolean', help: 'one look, and done' },
    {
      long: 'sort',
      kind: 'string',
      valueName: 'COLUMN',
      help: 'what to sort by',
      choices: Object.keys(sorts),
      default: 'pid',
    },
    { long: 'interval', kind: 'duration', valueName: 'TIME', help: 'between two looks', default: '2s' },
    jsonFlag,
  ],
  async run({ args, flags, output, signal, connect }) {
    const connection = await connect();
    const isAll = args[0] === undefined;
    const wanted = isAll ? undefined : await findContainer(connection, args[0]!, { signal });
    const list = async (): Promise<{ name: string; process: Process }[]> => {
      const containers = wanted
        ? [wanted]
        : (await listContainers(connection, { signal })).filter(
            ({ state }) => state === ContainerState.CONTAINER_RUNNING,
          );
      const found = await Promise.all(
        containers.map(async (container) => {
          const listed = connection.admin('ListProcesses', { container_id: container.id }, { signal });
          // Of several, one that ends meanwhile has none.
          const { processes } = await (wanted ? listed : listed.catch(() => ({ processes: [] })));
          return processes.map((process) => ({ name: containerName(container), process }));
        }),
      );
      return found.flat();
    };
    const shown = isAll ? [containerColumn, ...columns] : columns;
    let sort = flags.string('sort')!;
    let earlier = new Map<number, { atMs: number; usedNs: bigint }>();
    const read = async (): Promise<Row[]> => {
      const processes = await list();
      const atMs = performance.now();
      const rows = processes.map(({ name, process }) => {
        const before = earlier.get(process.pid);
        const cpuPercent =
          before === undefined
            ? undefined
            : Number(process.cpu_ns - before.usedNs) / ((atMs - before.atMs) * 10_000);
        return { name, process, cpuPercent };
      });
      earlier = new Map(processes.map(({ process: { pid, cpu_ns } }) => [pid, { atMs, usedNs: cpu_ns }]));
      const value = sorts[sort]!;
      return rows.toSorted((a, b) => value(b) - value(a));
    };
    if (flags.boolean('json')) {
      output.json(
        (await read()).map(({ name, process }) => (isAll ? { container: name, ...process } : process)),
      );
      return 0;
    }
    if (flags.boolean('no-stream') || !output.isTerminal) {
      output.table(await read(), shown);
      return 0;
    }
    const keys: Readonly<Record<string, string>> = { c: 'cpu', m: 'memory', t: 'time', p: 'pid' };
    const { showLive } = await import('../live-screen.ts');
    await showLive({
      intervalMs: Math.max(200, flags.durationMs('interval')!),
      signal,
      onKey: (key) => {
        sort = keys[key] ?? sort;
      },
      draw: async ({ columns: width }) => {
        const lines = tableLines(await read(), shown).map((line) => line.slice(0, width));
        return [
          output.paint(lines[0]!, 'bold'),
          ...lines.slice(1),
          '',
          output.paint(`by ${sort}; c m t p sort, q ends`, 'dim'),
        ];
      },
    });
    return 0;
  },
};
