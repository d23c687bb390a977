import type { CommandBody } from '../command.ts';
import { findContainer, forEach, isManaged } from '../containers.ts';
import { jsonFlag, yesFlag } from '../flags.ts';
import { removeContainer } from '../lifecycle.ts';

export const command: CommandBody = {
  description: [
    'Removes containers with all that they wrote, their logs and anonymous volumes. Folders and named volumes stay.',
    'One that runs is removed with --force only. One that `berth run` did not make belongs to somebody else, a kubelet perhaps: that is asked about first.',
  ],
  arguments: [{ name: 'CONTAINER', required: true, repeatable: true, complete: 'container' }],
  flags: [
    { long: 'force', short: 'f', kind: 'boolean', help: 'kill those that run' },
    { long: 'volumes', short: 'v', kind: 'boolean', help: 'anonymous volumes go too; they always do' },
    yesFlag,
    jsonFlag,
  ],
  examples: [{ text: 'all that have ended', command: 'berth rm $(berth ps -aq --filter status=exited)' }],
  async run({ args, flags, output, signal, connect, confirm }) {
    const connection = await connect();
    return forEach(
      args,
      async (given) => {
        const container = await findContainer(connection, given, { signal });
        if (!isManaged(container.labels))
          await confirm(`${given} was not made by berth run. Remove it all the same?`);
        await removeContainer(connection, container, flags.boolean('force'), { signal });
        return given;
      },
      { output, flags },
    );
  },
};
