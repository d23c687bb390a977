import type { CommandBody } from '../command.ts';
import { findContainer, forEach } from '../containers.ts';
import { jsonFlag } from '../flags.ts';

export const command: CommandBody = {
  description: ['Lets containers that `berth pause` stopped go on.'],
  arguments: [{ name: 'CONTAINER', required: true, repeatable: true, complete: 'runningContainer' }],
  flags: [jsonFlag],
  async run({ args, flags, output, signal, connect }) {
    const connection = await connect();
    return forEach(
      args,
      async (given) => {
        const { id } = await findContainer(connection, given, { signal });
        await connection.admin('UnpauseContainer', { container_id: id }, { signal });
        return given;
      },
      { output, flags },
    );
  },
};
