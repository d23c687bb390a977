import type { CommandBody } from '../command.ts';
import { findContainer, forEach } from '../containers.ts';
import { jsonFlag } from '../flags.ts';
import { stopContainer, stopSecondsOf, stopTimeFlag } from '../lifecycle.ts';

export const command: CommandBody = {
  description: [
    'Asks containers to end by their stop signal, and kills those that take longer than --time. They keep what they wrote; their address and ports are given back.',
  ],
  arguments: [{ name: 'CONTAINER', required: true, repeatable: true, complete: 'runningContainer' }],
  flags: [stopTimeFlag, jsonFlag],
  async run({ args, flags, output, signal, connect }) {
    const connection = await connect();
    return forEach(
      args,
      async (given) => {
        const container = await findContainer(connection, given, { signal });
        const seconds = flags.integer('time') ?? stopSecondsOf(container);
        await stopContainer(connection, container, seconds, { signal });
        return given;
      },
      { output, flags },
    );
  },
};
