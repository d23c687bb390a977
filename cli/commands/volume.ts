import type { Volume } from '#proto/berth/generated/admin.ts';
import { type CommandBody, type CommandContext, CommandError, UsageError } from '../command.ts';
import { forEach, listContainers } from '../containers.ts';
import { jsonFlag, quietFlag, yesFlag } from '../flags.ts';
import { containerName, shortId } from '../names.ts';
import { formatAge, formatSize, formatTime } from '../quantity.ts';

const actions = ['ls', 'create', 'inspect', 'rm', 'prune'] as const;

export const command: CommandBody = {
  description: [
    'A volume is a folder that the daemon keeps under a name, and that outlives the containers that mount it with `berth run -v NAME:/path`. It is made at its first use, and the first container leaves in it what its image has at the path.',
    '`ls` lists volumes; `create` makes them, under a made-up name without one; `inspect` prints where the data is and who uses it; `rm` removes volumes that no container uses, with all that is in them; `prune` removes all of those, and asks first.',
  ],
  arguments: [
    {
      name: 'ACTION',
      required: true,
      help: 'ls, create, inspect, rm or prune',
      complete: [...actions, 'list', 'remove'],
    },
    { name: 'NAME', repeatable: true, help: 'volumes', complete: 'volume' },
  ],
  flags: [
    {
      long: 'label',
      short: 'l',
      kind: 'string',
      valueName: 'NAME=VALUE',
      repeatable: true,
      help: 'create: a label',
    },
    { ...quietFlag, help: 'ls: names only' },
    { long: 'size', short: 's', kind: 'boolean', help: 'ls, inspect: find out what each occupies' },
    { long: 'force', short: 'f', kind: 'boolean', help: 'rm: one that is not there is no failure' },
    yesFlag,
    jsonFlag,
  ],
  examples: [
    {
      text: 'data that outlives its container',
      command: 'berth run -d --name db -v data:/var/lib/db registry.example/db',
    },
    { text: 'what is kept, and for whom', command: 'berth volume ls --size' },
  ],
  async run(context) {
    const [action, ...names] = context.args;
    const works: Readonly<
      Record<string, (context: CommandContext, names: readonly string[]) => Promise<number>>
    > = { ls: list, list, create, inspect, rm: remove, remove, prune };
    const work = Object.hasOwn(works, action!) ? works[action!] : undefined;
    if (work === undefined)
      throw new UsageError(
        `volume: there is no action ${JSON.stringify(action)}`,
        `There are ${actions.join(', ')}.`,
      );
    if (names.length > 0 && (work === list || work === prune))
      throw new UsageError(`volume ${action} takes no names`);
    if (names.length === 0 && (work === inspect || work === remove))
      throw new UsageError('NAME is missing', '`berth volume ls` lists them.');
    return work(context, names);
  },
};

async function list({ flags, output, signal, connect }: CommandContext): Promise<number> {
  const connection = await connect();
  const isMeasured = flags.boolean('size');
  const { volumes } = await connection.admin('ListVolumes', { measure: isMeasured }, { signal });
  if (flags.boolean('quiet')) for (const { name } of volumes) output.line(name);
  else if (flags.boolean('json')) output.json(volumes.map((volume) => toJson(volume, isMeasured)));
  else {
    const containers = await listContainers(connection, { signal });
    const names = new Map(containers.map((container) => [container.id, containerName(container)]));
    output.table(volumes, [
      { title: 'VOLUME NAME', value: ({ name }) => name },
      { title: 'CREATED', value: ({ created_at }) => formatAge(created_at) },
      ...(isMeasured
        ? [
            {
              title: 'SIZE',
              align: 'right' as const,
              value: ({ used_bytes }: Volume) => formatSize(used_bytes),
            },
          ]
        : []),
      {
        title: 'USED BY',
        value: ({ containers: users }) => users.map((id) => names.get(id) ?? shortId(id)).join(', '),
      },
    ]);
  }
  return 0;
}

async function create(
  { flags, output, signal, connect }: CommandContext,
  names: readonly string[],
): Promise<number> {
  const connection = await connect();
  const labels = Object.fromEntries(
    flags.list('label').map((text) => {
      const at = text.indexOf('=');
      return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
    }),
  );
  return forEach(
    names.length === 0 ? [''] : names,
    async (name) => {
      const { volume } = await connection.admin('CreateVolume', { name, labels }, { signal });
      return volume!.name;
    },
    { output, flags },
  );
}

async function inspect(
  { flags, output, signal, connect }: CommandContext,
  names: readonly string[],
): Promise<number> {
  const connection = await connect();
  const isMeasured = flags.boolean('size');
  const { volumes } = await connection.admin('ListVolumes', { measure: isMeasured }, { signal });
  const found = names.map((name) => {
    const volume = volumes.find((each) => each.name === name);
    if (volume === undefined)
      throw new CommandError(`there is no volume ${JSON.stringify(name)}`, {
        hint: '`berth volume ls` lists them.',
      });
    return toJson(volume, isMeasured);
  });
  output.json(found);
  return 0;
}

async function remove(
  { flags, output, signal, connect }: CommandContext,
  names: readonly string[],
): Promise<number> {
  const connection = await connect();
  return forEach(
    names,
    async (name) => {
      await connection.admin('RemoveVolume', { name }, { signal }).catch((error) => {
        if (!flags.boolean('force') || error.code !== 'NOT_FOUND') throw error;
      });
      return name;
    },
    { output, flags },
  );
}

async function prune({ flags, output, signal, connect, confirm }: CommandContext): Promise<number> {
  const connection = await connect();
  const { volumes } = await connection.admin('ListVolumes', {}, { signal });
  const unused = volumes.filter(({ containers }) => containers.length === 0).map(({ name }) => name);
  if (unused.length > 0)
    await confirm(`Remove ${unused.join(', ')}, which no container uses, with all the data?`);
  return forEach(
    unused,
    async (name) => {
      await connection.admin('RemoveVolume', { name }, { signal });
      return name;
    },
    { output, flags },
  );
}

function toJson({ name, path, labels, created_at, containers, used_bytes }: Volume, isMeasured: boolean) {
  return {
    name,
    path,
    labels,
    createdAt: formatTime(created_at),
    containers,
    ...(isMeasured ? { usedBytes: used_bytes } : {}),
  };
}
