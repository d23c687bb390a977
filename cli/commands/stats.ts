import { setTimeout as delay } from 'node:timers/promises';
import type { CommandBody } from '../command.ts';
import { findContainer } from '../containers.ts';
import { formatFlag, jsonFlag } from '../flags.ts';
import { tableLines } from '../output.ts';
import { type SortName, sortNames, sortUsage, UsageReader, usageColumns } from '../usage.ts';

/** Between the two looks that a rate needs. */
const rateMs = 500;

export const command: CommandBody = {
  description: [
    'Shows what running containers use: processor, memory, network of their pod, disk of their writable layer. On a terminal it goes on until q; keys c, m, n, i, d and p sort by processor, memory, name, network, disk and processes.',
  ],
  arguments: [{ name: 'CONTAINER', repeatable: true, complete: 'runningContainer' }],
  flags: [
    { long: 'no-stream', kind: 'boolean', help: 'one look, and done' },
    { long: 'all', short: 'a', kind: 'boolean', help: 'those that do not run too' },
    {
      long: 'sort',
      kind: 'string',
      valueName: 'COLUMN',
      help: 'what to sort by',
      choices: sortNames,
      default: 'cpu',
    },
    { long: 'interval', kind: 'duration', valueName: 'TIME', help: 'between two looks', default: '2s' },
    formatFlag,
    jsonFlag,
  ],
  async run({ args, flags, output, signal, connect }) {
    const connection = await connect();
    const found = await Promise.all(args.map((given) => findContainer(connection, given, { signal })));
    const all = flags.boolean('all')
      ? (await connection.call('ListContainers', {}, { signal })).containers
      : [];
    const chosen = [...found, ...all].map(({ id }) => id);
    const wanted = chosen.length > 0 ? new Set(chosen) : undefined;
    const reader = new UsageReader(connection);
    let sort = flags.string('sort') as SortName;
    const isJson = flags.boolean('json') || flags.string('format') === 'json';
    const intervalMs = Math.max(200, flags.durationMs('interval')!);
    const read = async () => sortUsage(await reader.read(wanted, { signal }), sort);
    if (flags.boolean('no-stream') || (!isJson && !output.isTerminal)) {
      await read();
      await delay(rateMs, undefined, { signal });
      const rows = await read();
      if (isJson) output.json(rows);
      else output.table(rows, usageColumns);
      return 0;
    }
    if (isJson) {
      for (;;) {
        await delay(intervalMs, undefined, { signal });
        output.jsonLine(await read());
      }
    }
    const keys: Readonly<Record<string, SortName>> = {
      c: 'cpu',
      m: 'memory',
      n: 'name',
      i: 'net',
      d: 'disk',
      p: 'pids',
    };
    const { showLive } = await import('../live-screen.ts');
    await showLive({
      intervalMs,
      signal,
      onKey: (key) => {
        sort = keys[key] ?? sort;
      },
      draw: async ({ columns }) => {
        const lines = tableLines(await read(), usageColumns).map((line) => line.slice(0, columns));
        const title = output.paint(lines[0]!, 'bold');
        const help = output.paint(`by ${sort}; c m n i d p sort, q ends`, 'dim');
        return [title, ...lines.slice(1), '', help];
      },
    });
    return 0;
  },
};
