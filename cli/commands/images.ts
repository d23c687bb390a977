import type { Image } from '#proto/generated/cri.ts';
import { type CommandBody, UsageError } from '../command.ts';
import { filterFlag, formatFlag, jsonFlag, noTruncFlag, quietFlag } from '../flags.ts';
import { formatAge, formatSize } from '../quantity.ts';

const filterNames = ['reference', 'label', 'dangling', 'before', 'since'] as const;

interface Row {
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
  readonly image: Image;
  readonly createdAtNs: bigint;
}

/** `docker.io/library/x` as everybody calls it. */
function shortName(name: string): string {
  return name.replace(/^docker\.io\/(library\/)?/, '');
}

/** A row for every name; one without a name for an image that has none. */
function rowsOf(image: Image, createdAtNs: bigint, withDigests: boolean): Row[] {
  const digestOf = (repository: string): string =>
    image.repo_digests.find((name) => name.startsWith(`${repository}@`))?.split('@')[1] ?? '';
  const rows = image.repo_tags.map((name) => {
    const colon = name.lastIndexOf(':');
    const repository = name.slice(0, colon);
    return { repository, tag: name.slice(colon + 1), digest: digestOf(repository), image, createdAtNs };
  });
  if (rows.length > 0) return rows;
  const byDigest = image.repo_digests.map((name) => ({
    repository: name.split('@')[0]!,
    tag: '',
    digest: name.split('@')[1]!,
    image,
    createdAtNs,
  }));
  if (byDigest.length === 0) return [{ repository: '', tag: '', digest: '', image, createdAtNs }];
  return withDigests ? byDigest : byDigest.slice(0, 1);
}

function parseFilters(texts: readonly string[]): (readonly [string, string])[] {
  return texts.map((text) => {
    const at = text.indexOf('=');
    const name = text.slice(0, Math.max(0, at));
    if (!(filterNames as readonly string[]).includes(name))
      throw new UsageError(
        `--filter: ${JSON.stringify(text)} is not NAME=VALUE with a known name`,
        `Known are ${filterNames.join(', ')}.`,
      );
    return [name, text.slice(at + 1)];
  });
}

/** A pattern with * for anything. */
function globbed(pattern: string): RegExp {
  return new RegExp(`^${pattern.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`);
}

function hasName({ repository, tag }: Row, pattern: string): boolean {
  const test = globbed(pattern);
  const names = [repository, shortName(repository)];
  return names.some((name) => test.test(name) || test.test(`${name}:${tag}`));
}

export const command: CommandBody = {
  description: [
    'Lists images, newest first: one row for each name. The size is that of the compressed blobs; berth df shows what is on the disk.',
    `Filters: ${filterNames.join(', ')}; for instance reference=nginx*, label=app=web, dangling=true, before=IMAGE.`,
  ],
  arguments: [{ name: 'NAME', help: 'only images of this name; * stands for anything', complete: 'image' }],
  flags: [
    { long: 'all', short: 'a', kind: 'boolean', help: 'as docker takes it; there is nothing more to show' },
    quietFlag,
    { long: 'digests', kind: 'boolean', help: 'show digests' },
    filterFlag(filterNames),
    noTruncFlag,
    formatFlag,
    jsonFlag,
  ],
  examples: [{ text: 'those without a tag', command: 'berth images --filter dangling=true -q' }],
  async run({ args, flags, output, signal, connect }) {
    const filters = parseFilters(flags.list('filter'));
    const connection = await connect();
    const [{ images }, usage] = await Promise.all([
      connection.call('ListImages', {}, { signal }),
      connection.admin('DiskUsage', { images_only: true }, { signal }),
    ]);
    const created = new Map(usage.images.map(({ id, created_at }) => [id, created_at]));
    const createdOf = async (name: string): Promise<bigint> => {
      const { image } = await connection.call('ImageStatus', { image: { image: name } }, { signal });
      if (!image) throw new UsageError(`--filter: there is no image ${name}`);
      return created.get(image.id) ?? 0n;
    };
    let rows = images.flatMap((image) =>
      rowsOf(image, created.get(image.id) ?? 0n, flags.boolean('digests')),
    );
    if (args[0] !== undefined) rows = rows.filter((row) => hasName(row, args[0]!));
    for (const [name, value] of filters)
      rows = await filtered(rows, name, value, { createdOf, connection, signal });
    rows.sort((a, b) => (a.createdAtNs === b.createdAtNs ? 0 : a.createdAtNs < b.createdAtNs ? 1 : -1));
    const isFull = flags.boolean('no-trunc');
    const idOf = ({ image }: Row): string =>
      isFull ? image.id : image.id.replace(/^[^:]*:/, '').slice(0, 12);
    if (flags.boolean('quiet')) {
      for (const id of new Set(rows.map(idOf))) output.line(id);
      return 0;
    }
    if (flags.boolean('json') || flags.string('format') === 'json') {
      output.json(
        rows.map(({ repository, tag, digest, image, createdAtNs }) => ({
          id: image.id,
          repository,
          tag,
          digest,
          createdAt: createdAtNs === 0n ? null : new Date(Number(createdAtNs / 1_000_000n)).toISOString(),
          sizeBytes: image.size,
          pinned: image.pinned,
        })),
      );
      return 0;
    }
    const none = '<none>';
    output.table(rows, [
      {
        title: 'REPOSITORY',
        value: ({ repository }) => (isFull ? repository : shortName(repository)) || none,
      },
      { title: 'TAG', value: ({ tag }) => tag || none },
      ...(flags.boolean('digests') ? [{ title: 'DIGEST', value: ({ digest }: Row) => digest || none }] : []),
      { title: 'IMAGE ID', value: idOf },
      { title: 'CREATED', value: ({ createdAtNs }) => formatAge(createdAtNs) },
      { title: 'SIZE', align: 'right', value: ({ image }) => formatSize(image.size) },
    ]);
    return 0;
  },
};

interface FilterContext {
  createdOf(name: string): Promise<bigint>;
  readonly connection: import('../connection.ts').Connection;
  readonly signal: AbortSignal;
}

async function filtered(
  rows: readonly Row[],
  name: string,
  value: string,
  { createdOf, connection, signal }: FilterContext,
): Promise<Row[]> {
  if (name === 'reference') return rows.filter((row) => hasName(row, value));
  if (name === 'dangling') {
    if (value !== 'true' && value !== 'false') throw new UsageError('--filter: dangling is true or false');
    return rows.filter(({ image }) => (image.repo_tags.length === 0) === (value === 'true'));
  }
  if (name === 'before' || name === 'since') {
    const moment = await createdOf(value);
    return rows.filter(({ createdAtNs }) =>
      name === 'before' ? createdAtNs < moment : createdAtNs > moment,
    );
  }
  const [key, wanted] = value.split(/=(.*)/s);
  const labelled = new Set<string>();
  for (const id of new Set(rows.map(({ image }) => image.id))) {
    const { config } = await connection.admin('DescribeImage', { image: id }, { signal });
    const labels =
      (JSON.parse(config) as { config?: { Labels?: Record<string, string> } }).config?.Labels ?? {};
    if (key! in labels && (wanted === undefined || labels[key!] === wanted)) labelled.add(id);
  }
  return rows.filter(({ image }) => labelled.has(image.id));
}
