import { PodSandboxState } from '#proto/generated/cri.ts';
import type { CommandBody } from '../command.ts';
import { formatFlag, jsonFlag, noTruncFlag, quietFlag } from '../flags.ts';
import { shortId } from '../names.ts';
import { formatAge, formatTime } from '../quantity.ts';

export const command: CommandBody = {
  description: [
    'Lists pods, those of a kubelet too. A pod holds what its containers share: network, host name, shared memory.',
  ],
  arguments: [],
  flags: [
    quietFlag,
    { long: 'namespace', kind: 'string', valueName: 'NAME', help: 'only those of one namespace' },
    noTruncFlag,
    formatFlag,
    jsonFlag,
  ],
  async run({ flags, output, signal, connect }) {
    const connection = await connect();
    const [{ items }, { containers }] = await Promise.all([
      connection.call('ListPodSandbox', {}, { signal }),
      connection.call('ListContainers', {}, { signal }),
    ]);
    const namespace = flags.string('namespace');
    const rows = await Promise.all(
      items
        .filter(({ metadata }) => namespace === undefined || metadata?.namespace === namespace)
        .toSorted((a, b) => (a.created_at < b.created_at ? 1 : -1))
        .map(async (pod) => {
          const reply = await connection
            .call('PodSandboxStatus', { pod_sandbox_id: pod.id }, { signal })
            .catch(() => undefined);
          const network = reply?.status?.network;
          const ips = network
            ? [network.ip, ...network.additional_ips.map(({ ip }) => ip)].filter(Boolean)
            : [];
          return {
            pod,
            ips,
            containers: containers.filter(({ pod_sandbox_id }) => pod_sandbox_id === pod.id),
          };
        }),
    );
    const isFull = flags.boolean('no-trunc');
    const idOf = (id: string) => (isFull ? id : shortId(id));
    if (flags.boolean('quiet')) for (const { pod } of rows) output.line(idOf(pod.id));
    else if (flags.boolean('json') || flags.string('format') === 'json')
      output.json(
        rows.map(({ pod, ips, containers: own }) => ({
          id: pod.id,
          name: pod.metadata?.name,
          namespace: pod.metadata?.namespace,
          uid: pod.metadata?.uid,
          attempt: pod.metadata?.attempt,
          state: pod.state === PodSandboxState.SANDBOX_READY ? 'ready' : 'notReady',
          createdAt: formatTime(pod.created_at),
          ips,
          containers: own.map(({ id, metadata }) => ({ id, name: metadata?.name })),
          labels: pod.labels,
          annotations: pod.annotations,
          runtimeHandler: pod.runtime_handler,
        })),
      );
    else
      output.table(rows, [
        { title: 'POD ID', value: ({ pod }) => idOf(pod.id) },
        { title: 'NAME', value: ({ pod }) => pod.metadata?.name ?? '' },
        { title: 'NAMESPACE', value: ({ pod }) => pod.metadata?.namespace ?? '' },
        {
          title: 'STATE',
          value: ({ pod }) => (pod.state === PodSandboxState.SANDBOX_READY ? 'ready' : 'stopped'),
        },
        { title: 'ADDRESS', value: ({ ips }) => ips.join(', ') },
        { title: 'CONTAINERS', align: 'right', value: ({ containers: own }) => String(own.length) },
        { title: 'CREATED', value: ({ pod }) => formatAge(pod.created_at) },
      ]);
    return 0;
  },
};
