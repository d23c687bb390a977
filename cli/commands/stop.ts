import type { CommandBody } from '../command.ts';
import { findContainer, forEach } from '../containers.ts';
import { jsonFlag } from '../flags.ts';
import { defaultStopSeconds, stopContainer } from '../lifecycle.ts';

export const command: CommandBody = {
  description: [
    'Asks containers to end by their stop signal, and kills those that take longer than --time. They keep what they wrote; their address and ports are given back.',
  ],
  arguments: [{ name: 'CONTAINER', required: true, repeatable: true, complete: 'runningContainer' }],
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
    const seconds = flags.integer('time')!;
    return forEach(
      args,
      async (given) => {
        await stopContainer(connection, await findContainer(connection, given, { signal }), seconds, {
          signal,
        });
        return given;
      },
      { output, flags },
    );
  },
};
