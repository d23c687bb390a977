import type { Process } from '#proto/berth/generated/admin.ts';
import type { CommandBody } from '../command.ts';
import { findContainer } from '../containers.ts';
import { jsonFlag } from '../flags.ts';
import { type Column, tableLines } from '../output.ts';
import { formatDuration, formatSize } from '../quantity.ts';

const sorts: Readonly<Record<string, (row: Row) => number>> = {
  cpu: ({ cpuPercent, process }) => cpuPercent ?? Number(process.cpu_ns) / 1e12,
  memory: ({ process }) => Number(process.resident_bytes),
  time: ({ process }) => Number(process.cpu_ns),
  pid: ({ process }) => -process.pid,
};

interface Row {
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

export const command: CommandBody = {
  description: [
    'Shows the processes of a running container, with their numbers on this machine. On a terminal it goes on until q; keys c, m, t and p sort by processor, memory, processor time and number. `berth stats` shows all containers.',
  ],
  arguments: [{ name: 'CONTAINER', required: true, complete: 'runningContainer' }],
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
    const { id } = await findContainer(connection, args[0]!, { signal });
    let sort = flags.string('sort')!;
    let earlier = new Map<number, { atMs: number; usedNs: bigint }>();
    const read = async (): Promise<Row[]> => {
      const { processes } = await connection.admin('ListProcesses', { container_id: id }, { signal });
      const atMs = performance.now();
      const rows = processes.map((process) => {
        const before = earlier.get(process.pid);
        const cpuPercent =
          before === undefined
            ? undefined
            : Number(process.cpu_ns - before.usedNs) / ((atMs - before.atMs) * 10_000);
        return { process, cpuPercent };
      });
      earlier = new Map(processes.map(({ pid, cpu_ns }) => [pid, { atMs, usedNs: cpu_ns }]));
      const value = sorts[sort]!;
      return rows.toSorted((a, b) => value(b) - value(a));
    };
    if (flags.boolean('json')) {
      output.json((await read()).map(({ process }) => process));
      return 0;
    }
    if (flags.boolean('no-stream') || !output.isTerminal) {
      output.table(await read(), columns);
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
        const lines = tableLines(await read(), columns).map((line) => line.slice(0, width));
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
