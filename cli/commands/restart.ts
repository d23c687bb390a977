import type { CommandBody } from '../command.ts';
import { findContainer, forEach } from '../containers.ts';
import { jsonFlag } from '../flags.ts';
import { defaultStopSeconds, startContainer, stopContainer } from '../lifecycle.ts';

export const command: CommandBody = {
  description: ['Stops containers and starts them again, with what they wrote.'],
  arguments: [{ name: 'CONTAINER', required: true, repeatable: true, complete: 'container' }],
  flags: [
    {
      long: 'time',
      short: 't',
      kind: 'integer',
      valueName: 'SECONDS',
      help: 'how long to wait before killing',
      default: String(defaultStopSeconds),
    },
    jsonFlag,
  ],
  async run({ args, flags, output, signal, connect }) {
    const connection = await connect();
    return forEach(
      args,
      async (given) => {
        const { id } = await findContainer(connection, given, { signal });
        await stopContainer(
          connection,
          await findContainer(connection, id, { signal }),
          flags.integer('time')!,
          { signal },
        );
        await startContainer(connection, await findContainer(connection, id, { signal }), { signal });
        return given;
      },
      { output, flags },
    );
  },
};
