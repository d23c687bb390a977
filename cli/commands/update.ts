import { type CommandBody, UsageError } from '../command.ts';
import { containerFlags } from '../container-flags.ts';
import { findContainer, forEach } from '../containers.ts';
import { jsonFlag } from '../flags.ts';
import { toResources } from '../pod-request.ts';

const names = ['memory', 'memory-swap', 'cpus', 'cpu-shares', 'cpuset-cpus'];

export const command: CommandBody = {
  description: ['Changes limits of containers, at once for those that run.'],
  arguments: [{ name: 'CONTAINER', required: true, repeatable: true, complete: 'container' }],
  flags: [...containerFlags.filter(({ long }) => names.includes(long)), jsonFlag],
  examples: [{ text: 'less memory and one processor', command: 'berth update --memory 256m --cpus 1 web' }],
  async run({ args, flags, output, signal, connect }) {
    const linux = toResources(flags);
    if (Object.keys(linux).length === 0)
      throw new UsageError('there is nothing to change', 'Give a limit, such as --memory 256m.');
    const connection = await connect();
    return forEach(
      args,
      async (given) => {
        const { id } = await findContainer(connection, given, { signal });
        await connection.call('UpdateContainerResources', { container_id: id, linux }, { signal });
        return given;
      },
      { output, flags },
    );
  },
};
