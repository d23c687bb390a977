import type { CommandBody } from '../command.ts';
import { findContainer, forEach } from '../containers.ts';
import { jsonFlag } from '../flags.ts';

export const command: CommandBody = {
  description: ['Waits until containers have ended and prints their exit statuses.'],
  arguments: [{ name: 'CONTAINER', required: true, repeatable: true, complete: 'runningContainer' }],
  flags: [jsonFlag],
  async run({ args, flags, output, signal, connect }) {
    const connection = await connect();
    return forEach(
      args,
      async (given) => {
        const { id } = await findContainer(connection, given, { signal });
        const { exit_code } = await connection.admin('WaitContainer', { container_id: id }, { signal });
        return String(exit_code);
      },
      { output, flags },
    );
  },
};
