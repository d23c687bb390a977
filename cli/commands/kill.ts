import type { CommandBody } from '../command.ts';
import { findContainer, forEach } from '../containers.ts';
import { jsonFlag } from '../flags.ts';

export const command: CommandBody = {
  description: ['Sends a signal to the first process of running containers.'],
  arguments: [{ name: 'CONTAINER', required: true, repeatable: true, complete: 'runningContainer' }],
  flags: [
    {
      long: 'signal',
      short: 's',
      kind: 'string',
      valueName: 'SIGNAL',
      help: 'name or number',
      default: 'KILL',
      complete: ['KILL', 'TERM', 'INT', 'HUP', 'QUIT', 'USR1', 'USR2', 'STOP', 'CONT', 'WINCH'],
    },
    jsonFlag,
  ],
  examples: [{ text: 'have a server read its configuration again', command: 'berth kill -s HUP web' }],
  async run({ args, flags, output, signal, connect }) {
    const connection = await connect();
    return forEach(
      args,
      async (given) => {
        const { id } = await findContainer(connection, given, { signal });
        await connection.admin(
          'KillContainer',
          { container_id: id, signal: flags.string('signal')! },
          { signal },
        );
        return given;
      },
      { output, flags },
    );
  },
};
