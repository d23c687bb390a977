import { type CommandBody, UsageError } from '../command.ts';
import { jsonFlag, yesFlag } from '../flags.ts';
import { formatSize, parseTime } from '../quantity.ts';

const shortId = (id: string): string => id.replace(/^[^:]*:/, '').slice(0, 12);

export const command: CommandBody = {
  description: [
    'Removes images without a tag that no container uses; with --all, every image that no container uses. Images that the configuration pins are kept. It asks before, unless --yes or --force says not to; --dry-run only tells.',
  ],
  arguments: [],
  flags: [
    { long: 'all', short: 'a', kind: 'boolean', help: 'those with tags too' },
    { long: 'dry-run', kind: 'boolean', help: 'say what would go, and how much that frees' },
    {
      long: 'until',
      kind: 'time',
      valueName: 'TIME',
      help: 'only images created before: 24h (ago) or a date',
    },
    {
      long: 'filter',
      kind: 'string',
      valueName: 'NAME=VALUE',
      repeatable: true,
      help: "docker's way to say --until: until=24h",
      complete: ['until='],
    },
    { long: 'force', short: 'f', kind: 'boolean', help: 'as --yes' },
    yesFlag,
    jsonFlag,
  ],
  examples: [{ text: 'what a week has left', command: 'berth prune --all --until 7d --dry-run' }],
  async run({ flags, output, signal, connect, confirm }) {
    let untilMs = flags.timeMs('until');
    for (const text of flags.list('filter')) {
      const value = /^until=(.+)$/.exec(text)?.[1];
      const moment = value === undefined ? undefined : parseTime(value, Date.now());
      if (moment === undefined) throw new UsageError(`--filter: ${JSON.stringify(text)} is not until=TIME`);
      untilMs = moment;
    }
    const connection = await connect();
    const request = {
      all: flags.boolean('all'),
      until: untilMs === undefined ? 0n : BigInt(Math.round(untilMs)) * 1_000_000n,
    };
    const isDryRun = flags.boolean('dry-run');
    const would = await connection.admin('PruneImages', { ...request, dry_run: true }, { signal });
    if (would.images.length > 0 && !isDryRun && !flags.boolean('force')) {
      for (const { id, names } of would.images) output.note(`${shortId(id)}   ${names[0] ?? '<none>'}`);
      await confirm(`Remove ${would.images.length} images, which frees ${formatSize(would.freed_bytes)}?`);
    }
    const done = isDryRun
      ? would
      : await connection.admin('PruneImages', { ...request, dry_run: false }, { signal });
    if (flags.boolean('json')) output.json({ dryRun: isDryRun, ...done });
    else {
      for (const { id, names } of done.images)
        output.line(`${isDryRun ? 'would remove' : 'removed'} ${shortId(id)} ${names.join(', ')}`.trimEnd());
      output.line(`${isDryRun ? 'would free' : 'freed'} ${formatSize(done.freed_bytes)}`);
    }
    return 0;
  },
};
