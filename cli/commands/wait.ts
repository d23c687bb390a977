import type { CommandBody } from '../command.ts';
import { findContainer, forEach } from '../containers.ts';

export const command: CommandBody = {
  description: ['Waits until containers have ended and prints their exit statuses.'],
  arguments: [{ name: 'CONTAINER', required: true, repeatable: true, complete: 'runningContainer' }],
  flags: [],
  async run({ args, output, signal, connect }) {
    const connection = await connect();
    return forEach(
      args,
      async (given) => {
        const { id } = await findContainer(connection, given, { signal });
        const { exit_code } = await connection.admin('WaitContainer', { container_id: id }, { signal });
        return String(exit_code);
      },
      output,
    );
  },
};
