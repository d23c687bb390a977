import type { CommandBody } from '../command.ts';
import { formatFlag, jsonFlag, noTruncFlag } from '../flags.ts';
import { formatAge, formatSize } from '../quantity.ts';

interface Note {
  readonly created?: string;
  readonly created_by?: string;
  readonly comment?: string;
  readonly author?: string;
  readonly empty_layer?: boolean;
}

interface Row {
  readonly createdAtNs: bigint;
  readonly by: string;
  readonly comment: string;
  readonly diffId: string;
  readonly diskBytes: bigint;
}

export const command: CommandBody = {
  description: [
    'Shows how an image was made, newest step first: what its config says of each, and what the layer of it occupies unpacked.',
  ],
  arguments: [{ name: 'IMAGE', required: true, complete: 'image' }],
  flags: [noTruncFlag, formatFlag, jsonFlag],
  async run({ args, flags, output, signal, connect }) {
    const connection = await connect();
    const { config, layers } = await connection.admin('DescribeImage', { image: args[0]! }, { signal });
    const { history = [] } = JSON.parse(config) as { history?: readonly Note[] };
    const rows: Row[] = [];
    let next = 0;
    for (const note of history) {
      const layer = note.empty_layer === true ? undefined : layers[next];
      if (layer) next += 1;
      const ms = Date.parse(note.created ?? '');
      rows.push({
        createdAtNs: Number.isNaN(ms) ? 0n : BigInt(ms) * 1_000_000n,
        by: note.created_by ?? '',
        comment: note.comment ?? '',
        diffId: layer?.diff_id ?? '',
        diskBytes: layer?.disk_bytes ?? 0n,
      });
    }
    // Layers that the history does not tell of are there all the same.
    for (const layer of layers.slice(next))
      rows.push({ createdAtNs: 0n, by: '', comment: '', diffId: layer.diff_id, diskBytes: layer.disk_bytes });
    rows.reverse();
    if (flags.boolean('json') || flags.string('format') === 'json') {
      output.json(
        rows.map(({ createdAtNs, ...row }) => ({
          createdAt: createdAtNs === 0n ? null : new Date(Number(createdAtNs / 1_000_000n)).toISOString(),
          ...row,
        })),
      );
      return 0;
    }
    const isFull = flags.boolean('no-trunc');
    const short = (text: string, most: number): string => {
      const line = text.replaceAll(/\s+/g, ' ');
      return isFull || line.length <= most ? line : `${line.slice(0, most - 3)}...`;
    };
    output.table(rows, [
      {
        title: 'LAYER',
        value: ({ diffId }) =>
          diffId === '' ? '-' : isFull ? diffId : diffId.replace(/^[^:]*:/, '').slice(0, 12),
      },
      { title: 'CREATED', value: ({ createdAtNs }) => formatAge(createdAtNs) || '-' },
      { title: 'CREATED BY', value: ({ by }) => short(by, 45) },
      { title: 'SIZE', align: 'right', value: ({ diskBytes }) => formatSize(diskBytes) },
      { title: 'COMMENT', value: ({ comment }) => short(comment, 30) },
    ]);
    return 0;
  },
};
