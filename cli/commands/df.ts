import type { CommandBody } from '../command.ts';
import { listContainers } from '../containers.ts';
import { jsonFlag } from '../flags.ts';
import { containerName } from '../names.ts';
import { formatAge, formatSize } from '../quantity.ts';

const shortId = (id: string): string => id.replace(/^[^:]*:/, '').slice(0, 12);

export const command: CommandBody = {
  description: [
    'Shows what images, containers and volumes occupy on the disk. Unique bytes are those that go with an image; shared ones belong to several. Layers count unpacked.',
    '-v lists them one by one, and says why each image is kept.',
  ],
  arguments: [],
  flags: [
    { long: 'verbose', short: 'v', kind: 'boolean', help: 'each image, container and volume' },
    jsonFlag,
  ],
  async run({ flags, output, signal, connect }) {
    const connection = await connect();
    const usage = await connection.admin('DiskUsage', {}, { signal });
    const { volumes: named } = await connection.admin('ListVolumes', { measure: true }, { signal });
    if (flags.boolean('json')) {
      output.json({ ...usage, named_volumes: named });
      return 0;
    }
    const { images, containers, volumes } = usage;
    const sum = <T>(items: readonly T[], value: (item: T) => bigint): bigint =>
      items.reduce((total, item) => total + value(item), 0n);
    const unused = images.filter(({ containers: users, pinned }) => users.length === 0 && !pinned);
    const rows = [
      {
        type: 'Images',
        count: images.length,
        active: images.filter(({ containers: users }) => users.length > 0).length,
        bytes: usage.layer_bytes + usage.blob_bytes,
        reclaimable: sum(unused, ({ unique_bytes }) => unique_bytes) + usage.unneeded_bytes,
      },
      {
        type: 'Containers',
        count: containers.length,
        active: (await listContainers(connection, { signal })).filter(({ state }) => state === 1).length,
        bytes: sum(containers, ({ writable_bytes }) => writable_bytes),
        reclaimable: undefined,
      },
      {
        type: 'Volumes of containers',
        count: volumes.length,
        active: volumes.length,
        bytes: sum(volumes, ({ used_bytes }) => used_bytes),
        reclaimable: undefined,
      },
      {
        type: 'Volumes',
        count: named.length,
        active: named.filter(({ containers: users }) => users.length > 0).length,
        bytes: sum(named, ({ used_bytes }) => used_bytes),
        reclaimable: sum(
          named.filter(({ containers: users }) => users.length === 0),
          ({ used_bytes }) => used_bytes,
        ),
      },
    ];
    output.table(rows, [
      { title: 'TYPE', value: ({ type }) => type },
      { title: 'TOTAL', align: 'right', value: ({ count }) => String(count) },
      { title: 'ACTIVE', align: 'right', value: ({ active }) => String(active) },
      { title: 'SIZE', align: 'right', value: ({ bytes }) => formatSize(bytes) },
      {
        title: 'RECLAIMABLE',
        align: 'right',
        value: ({ reclaimable }) => (reclaimable === undefined ? '-' : formatSize(reclaimable)),
      },
    ]);
    if (!flags.boolean('verbose')) return 0;
    const names = new Map(
      (await listContainers(connection, { signal })).map((container) => [
        container.id,
        containerName(container),
      ]),
    );
    output.line();
    output.table(images, [
      { title: 'IMAGE', value: ({ names: own }) => own[0] ?? '<none>' },
      { title: 'ID', value: ({ id }) => shortId(id) },
      { title: 'CREATED', value: ({ created_at }) => formatAge(created_at) },
      { title: 'SHARED', align: 'right', value: ({ shared_bytes }) => formatSize(shared_bytes) },
      { title: 'UNIQUE', align: 'right', value: ({ unique_bytes }) => formatSize(unique_bytes) },
      {
        title: 'KEPT BECAUSE',
        value: ({ reasons, containers: users }) =>
          reasons
            .map((reason) =>
              reason.startsWith('used by')
                ? `used by ${users.map((id) => names.get(id) ?? shortId(id)).join(', ')}`
                : reason,
            )
            .join('; ') || 'nothing does: berth prune removes it',
      },
    ]);
    output.line();
    output.table(containers, [
      { title: 'CONTAINER', value: ({ id }) => names.get(id) ?? shortId(id) },
      { title: 'ID', value: ({ id }) => shortId(id) },
      { title: 'WRITABLE LAYER', align: 'right', value: ({ writable_bytes }) => formatSize(writable_bytes) },
    ]);
    if (named.length > 0) {
      output.line();
      output.table(named, [
        { title: 'VOLUME', value: ({ name }) => name },
        {
          title: 'USED BY',
          value: ({ containers: users }) => users.map((id) => names.get(id) ?? shortId(id)).join(', '),
        },
        { title: 'SIZE', align: 'right', value: ({ used_bytes }) => formatSize(used_bytes) },
      ]);
    }
    if (volumes.length === 0) return 0;
    output.line();
    output.table(volumes, [
      { title: 'VOLUME OF', value: ({ container_id }) => names.get(container_id) ?? shortId(container_id) },
      { title: 'PATH', value: ({ path }) => path },
      { title: 'SIZE', align: 'right', value: ({ used_bytes }) => formatSize(used_bytes) },
    ]);
    return 0;
  },
};
