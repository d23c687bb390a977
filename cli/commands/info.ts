import { ContainerState } from '#proto/generated/cri.ts';
import type { CommandBody } from '../command.ts';
import { jsonFlag } from '../flags.ts';
import { formatAge } from '../quantity.ts';

export const command: CommandBody = {
  description: ['Shows what the daemon is, what it holds and where, and whether the node is ready for pods.'],
  arguments: [],
  flags: [jsonFlag],
  async run({ flags, output, signal, connect }) {
    const connection = await connect();
    const [info, { status }, { items }, { containers }, { images }] = await Promise.all([
      connection.admin('Info', {}, { signal }),
      connection.call('Status', {}, { signal }),
      connection.call('ListPodSandbox', {}, { signal }),
      connection.call('ListContainers', {}, { signal }),
      connection.call('ListImages', {}, { signal }),
    ]);
    const running = containers.filter(({ state }) => state === ContainerState.CONTAINER_RUNNING).length;
    if (flags.boolean('json')) {
      const { configuration, ...rest } = info;
      output.json({
        ...rest,
        address: connection.address,
        conditions: status?.conditions,
        counts: { pods: items.length, containers: containers.length, running, images: images.length },
        configuration: JSON.parse(configuration),
      });
      return 0;
    }
    const rows: [string, string][] = [
      ['Daemon', `berthd ${info.version}, process ${info.pid}, up since ${formatAge(info.started_at)}`],
      ['Socket', connection.address],
      ['Data', `${info.root_dir} (snapshotter ${info.snapshotter})`],
      ['State', info.state_dir],
      ['Cgroups', `version ${info.cgroup_version}, driver ${info.cgroup_driver}`],
      [
        'Handlers',
        info.handlers.map(({ name, is_default }) => (is_default ? `${name} (default)` : name)).join(', '),
      ],
      [
        'Programs',
        Object.entries(info.program_versions)
          .map(([name, text]) => `${name} ${text}`)
          .join(', '),
      ],
      ['Pods', String(items.length)],
      ['Containers', `${containers.length}, ${running} running`],
      ['Images', String(images.length)],
    ];
    for (const condition of status?.conditions ?? [])
      rows.push([
        condition.type,
        condition.status
          ? output.paint('yes', 'green')
          : `${output.paint('no', 'red')}: ${condition.reason}: ${condition.message}`,
      ]);
    const column = Math.max(...rows.map(([name]) => name.length));
    for (const [name, text] of rows) output.line(`${name.padEnd(column)}   ${text}`);
    return 0;
  },
};
