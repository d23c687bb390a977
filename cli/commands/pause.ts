import type { CommandBody } from '../command.ts';
import { findContainer, forEach } from '../containers.ts';
import { jsonFlag } from '../flags.ts';

export const command: CommandBody = {
  description: [
    'Has all processes of containers stand still, with what they hold in memory, until `berth unpause`. A stop lets them go on first; an exec has to wait.',
  ],
  arguments: [{ name: 'CONTAINER', required: true, repeatable: true, complete: 'runningContainer' }],
  flags: [jsonFlag],
  async run({ args, flags, output, signal, connect }) {
    const connection = await connect();
    return forEach(
      args,
      async (given) => {
        const { id } = await findContainer(connection, given, { signal });
        await connection.admin('PauseContainer', { container_id: id }, { signal });
        return given;
      },
      { output, flags },
    );
  },
};
