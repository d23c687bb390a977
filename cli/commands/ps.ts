import type { ContainerDetails } from '#proto/berth/generated/admin.ts';
import { type Container, ContainerState } from '#proto/generated/cri.ts';
import { type CommandBody, UsageError } from '../command.ts';
import { listContainers, stateWord } from '../containers.ts';
import { filterFlag, jsonFlag, noTruncFlag, quietFlag } from '../flags.ts';
import { containerName, shortId } from '../names.ts';
import { portsAnnotation } from '../pod-request.ts';
import { formatAge, formatDuration, formatTime } from '../quantity.ts';
import { expandTemplate, unescapeTemplate } from '../template.ts';

const filterNames = ['id', 'name', 'label', 'status', 'ancestor', 'exited', 'pod'] as const;

interface Row {
  readonly container: Container;
  readonly details: ContainerDetails;
}

/** `Up 3 minutes`, `Exited (1) 2 hours ago`, `Created`. */
function statusText({ container, details }: Row): string {
  const { state } = container;
  const { started_at, finished_at, exit_code, reason, paused } = details;
  if (state === ContainerState.CONTAINER_RUNNING)
    return `Up ${formatDuration(Date.now() - Number(started_at / 1_000_000n))}${paused ? ' (Paused)' : ''}`;
  if (state === ContainerState.CONTAINER_EXITED)
    return `Exited (${exit_code}) ${formatAge(finished_at)}${reason === 'OOMKilled' ? ', out of memory' : ''}`;
  return state === ContainerState.CONTAINER_CREATED ? 'Created' : 'Unknown';
}

function rowState({ container, details }: Row): string {
  return details.paused ? 'paused' : stateWord(container.state);
}

function commandText({ details }: Row, isFull: boolean): string {
  const text = details.command.join(' ').replaceAll(/[\x00-\x1f\x7f]/g, ' ');
  return isFull || text.length <= 24 ? text : `${text.slice(0, 23)}…`;
}

/** What `{{.NAME}}` of --format stands for; the names are docker's. */
function fields(row: Row, isFull: boolean): Readonly<Record<string, string>> {
  const { container } = row;
  return {
    ID: isFull ? container.id : shortId(container.id),
    Names: containerName(container),
    Image: isFull ? imageName(container) : shortImage(imageName(container)),
    Command: JSON.stringify(commandText(row, isFull)),
    CreatedAt: formatTime(container.created_at),
    RunningFor: formatAge(container.created_at),
    Ports: container.annotations[portsAnnotation] ?? '',
    State: rowState(row),
    Status: statusText(row),
    Labels: Object.entries(container.labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(','),
    Pod: container.pod_sandbox_id,
  };
}

/** Reads `--filter NAME=VALUE`. Those of one name are alternatives, except labels. */
function parseFilters(texts: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const text of texts) {
    const at = text.indexOf('=');
    const name = at < 0 ? text : text.slice(0, at);
    if (at < 0 || !(filterNames as readonly string[]).includes(name))
      throw new UsageError(
        `--filter: ${JSON.stringify(text)} is not NAME=VALUE with a known name`,
        `Known are ${filterNames.join(', ')}.`,
      );
    found.set(name, [...(found.get(name) ?? []), text.slice(at + 1)]);
  }
  return found;
}

function matches(row: Row, filters: ReadonlyMap<string, readonly string[]>): boolean {
  const { container, details } = row;
  const anyOf = (name: string, test: (value: string) => boolean): boolean =>
    filters.get(name)?.some(test) ?? true;
  return (
    anyOf('id', (value) => container.id.startsWith(value)) &&
    anyOf('name', (value) => containerName(container).includes(value)) &&
    anyOf(
      'pod',
      (value) =>
        container.pod_sandbox_id.startsWith(value) || containerName(container).split('/')[0] === value,
    ) &&
    anyOf('status', (value) => rowState(row) === value) &&
    anyOf(
      'exited',
      (value) => container.state === ContainerState.CONTAINER_EXITED && String(details.exit_code) === value,
    ) &&
    anyOf(
      'ancestor',
      (value) => imageName(container).includes(value) || container.image_id.includes(value),
    ) &&
    (filters.get('label')?.every((value) => hasLabel(container, value)) ?? true)
  );
}

function hasLabel({ labels }: Container, text: string): boolean {
  const at = text.indexOf('=');
  return at < 0 ? labels[text] !== undefined : labels[text.slice(0, at)] === text.slice(at + 1);
}

function imageName({ image, image_ref }: Container): string {
  return image?.user_specified_image || image?.image || image_ref;
}

/** A digest tells nobody anything in full. */
function shortImage(name: string): string {
  return name.replace(/^docker\.io\/(library\/)?/, '').replace(/(sha256:[0-9a-f]{12})[0-9a-f]+/, '$1');
}

export const command: CommandBody = {
  description: [
    'Lists containers: those that run, or all with -a. Containers of a kubelet are called POD/CONTAINER.',
    `Filters: ${filterNames.join(', ')}; for instance status=exited, label=app=web, name=web.`,
  ],
  arguments: [],
  flags: [
    { long: 'all', short: 'a', kind: 'boolean', help: 'those that do not run too' },
    quietFlag,
    { long: 'last', short: 'n', kind: 'integer', valueName: 'NUMBER', help: 'the newest, in any state' },
    { long: 'latest', short: 'l', kind: 'boolean', help: 'the newest one, in any state' },
    filterFlag(filterNames),
    noTruncFlag,
    {
      long: 'format',
      kind: 'string',
      valueName: 'FORMAT',
      help: 'table, json, or a template: {{.Names}}, {{.ID}}, {{.Image}}, {{.Status}}, {{.State}}, {{.Ports}}, {{.Command}}, {{.Labels}}, {{.CreatedAt}}, {{.RunningFor}}, {{.Label "NAME"}}',
      default: 'table',
      complete: ['table', 'json'],
    },
    jsonFlag,
  ],
  examples: [{ text: 'all of one image, as JSON', command: 'berth ps -a --filter ancestor=nginx --json' }],
  async run({ flags, output, signal, connect }) {
    const filters = parseFilters(flags.list('filter'));
    const connection = await connect();
    const count = flags.boolean('latest') ? 1 : flags.integer('last');
    const isAll =
      flags.boolean('all') || count !== undefined || filters.has('status') || filters.has('exited');
    // Two lists, however many containers there are.
    const [found, { containers: known }] = await Promise.all([
      listContainers(connection, { signal }),
      connection.admin('ListContainerDetails', {}, { signal }),
    ]);
    const detailsById = new Map(known.map((details) => [details.id, details]));
    const rows = found
      .filter(({ state }) => isAll || state === ContainerState.CONTAINER_RUNNING)
      .flatMap((container) => {
        // One that goes between the two lists is not listed.
        const details = detailsById.get(container.id);
        return details ? [{ container, details }] : [];
      })
      .filter((row) => matches(row, filters))
      .slice(0, count);
    const format = flags.string('format')!;
    const isFull = flags.boolean('no-trunc');
    if (flags.boolean('quiet')) {
      for (const { container } of rows) output.line(isFull ? container.id : shortId(container.id));
    } else if (flags.boolean('json') || format === 'json') {
      output.json(rows.map(toJson));
    } else if (format !== 'table') {
      const template = unescapeTemplate(format);
      for (const row of rows)
        output.line(expandTemplate(template, fields(row, isFull), row.container.labels));
    } else {
      output.table(rows, [
        { title: 'CONTAINER ID', value: ({ container }) => (isFull ? container.id : shortId(container.id)) },
        {
          title: 'IMAGE',
          value: ({ container }) => (isFull ? imageName(container) : shortImage(imageName(container))),
        },
        { title: 'COMMAND', value: (row) => commandText(row, isFull) },
        { title: 'CREATED', value: ({ container }) => formatAge(container.created_at) },
        {
          title: 'STATUS',
          value: (row) => output.paint(statusText(row), rowState(row) === 'running' ? 'green' : 'dim'),
        },
        { title: 'PORTS', value: ({ container }) => container.annotations[portsAnnotation] ?? '' },
        { title: 'NAMES', value: ({ container }) => containerName(container) },
      ]);
    }
    return 0;
  },
};

function toJson(row: Row) {
  const { container, details } = row;
  return {
    id: container.id,
    name: containerName(container),
    podId: container.pod_sandbox_id,
    image: imageName(container),
    imageId: container.image_id,
    command: details.command,
    state: rowState(row),
    status: statusText(row),
    exitCode: container.state === ContainerState.CONTAINER_EXITED ? details.exit_code : null,
    reason: details.reason,
    createdAt: formatTime(container.created_at),
    startedAt: formatTime(details.started_at),
    finishedAt: formatTime(details.finished_at),
    ports: container.annotations[portsAnnotation] ?? '',
    labels: container.labels,
    annotations: container.annotations,
  };
}
