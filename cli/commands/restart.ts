import type { CommandBody } from '../command.ts';
import { findContainer, forEach } from '../containers.ts';
import { jsonFlag } from '../flags.ts';
import { startContainer, stopContainer, stopSecondsOf, stopTimeFlag } from '../lifecycle.ts';

export const command: CommandBody = {
  description: ['Stops containers and starts them again, with what they wrote.'],
  arguments: [{ name: 'CONTAINER', required: true, repeatable: true, complete: 'container' }],
  flags: [stopTimeFlag, jsonFlag],
  async run({ args, flags, output, signal, connect }) {
    const connection = await connect();
    return forEach(
      args,
      async (given) => {
        const container = await findContainer(connection, given, { signal });
        const seconds = flags.integer('time') ?? stopSecondsOf(container);
        await stopContainer(connection, container, seconds, { signal });
        const stopped = await findContainer(connection, container.id, { signal });
        await startContainer(connection, stopped, { signal });
        return given;
      },
      { output, flags },
    );
  },
};
