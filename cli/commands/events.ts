import { ContainerEventType } from '#proto/generated/cri.ts';
import type { CommandBody } from '../command.ts';
import { jsonFlag } from '../flags.ts';
import { containerName, shortId } from '../names.ts';
import { formatTime } from '../quantity.ts';

const words: Readonly<Record<number, string>> = {
  [ContainerEventType.CONTAINER_CREATED_EVENT]: 'created',
  [ContainerEventType.CONTAINER_STARTED_EVENT]: 'started',
  [ContainerEventType.CONTAINER_STOPPED_EVENT]: 'stopped',
  [ContainerEventType.CONTAINER_DELETED_EVENT]: 'removed',
};

export const command: CommandBody = {
  description: ['Prints what happens to containers and pods from now on, a line each, until it is ended.'],
  arguments: [],
  flags: [
    { long: 'follow', short: 'f', kind: 'boolean', help: 'as it always does' },
    {
      long: 'filter',
      kind: 'string',
      valueName: 'EVENT',
      repeatable: true,
      help: 'only these events',
      choices: Object.values(words),
    },
    jsonFlag,
  ],
  async run({ flags, output, signal, connect }) {
    const connection = await connect();
    const wanted = flags.list('filter');
    const sinceNs = BigInt(Date.now()) * 1_000_000n;
    for await (const event of connection.stream('GetContainerEvents', {}, { signal })) {
      // The daemon keeps some for a client that was away; here only what happens from now on is shown.
      if (event.created_at < sinceNs) continue;
      const word = words[event.container_event_type] ?? 'unknown';
      if (wanted.length > 0 && !wanted.includes(word)) continue;
      const pod = event.pod_sandbox_status;
      const status = event.containers_statuses.find(({ id }) => id === event.container_id);
      const isPod = pod?.id === event.container_id;
      const name = isPod
        ? (pod.metadata?.name ?? '')
        : status && pod
          ? containerName({ ...status, pod_sandbox_id: pod.id })
          : '';
      if (flags.boolean('json'))
        output.jsonLine({
          time: formatTime(event.created_at),
          event: word,
          type: isPod ? 'pod' : 'container',
          id: event.container_id,
          name,
          podId: pod?.id,
          exitCode: word === 'stopped' && !isPod ? status?.exit_code : undefined,
          reason: word === 'stopped' && !isPod ? status?.reason : undefined,
        });
      else {
        const end = word === 'stopped' && status && !isPod ? ` (${status.exit_code}, ${status.reason})` : '';
        output.line(
          `${formatTime(event.created_at)} ${isPod ? 'pod' : 'container'} ${word} ${shortId(event.container_id)} ${name}${end}`,
        );
      }
    }
    return 0;
  },
};
