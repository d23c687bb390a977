import { type CommandBody, CommandError } from '../command.ts';
import { CallError } from '../connection.ts';
import { findContainer } from '../containers.ts';
import { jsonFlag } from '../flags.ts';
import { checkName } from '../pod-request.ts';

export const command: CommandBody = {
  description: [
    'Gives a container that `berth run` or `berth create` made, and its pod, another name. Its host name and its log stay where they are.',
  ],
  arguments: [
    { name: 'CONTAINER', required: true, complete: 'container' },
    { name: 'NAME', required: true, help: 'the new name' },
  ],
  flags: [jsonFlag],
  async run({ args, flags, output, signal, connect }) {
    const [given, name] = args;
    checkName(name!, 'NAME');
    const connection = await connect();
    const { id } = await findContainer(connection, given!, { signal });
    await connection
      .admin('RenameContainer', { container_id: id, name: name! }, { signal })
      .catch((error) => {
        if (!(error instanceof CallError) || error.code !== 'ALREADY_EXISTS') throw error;
        throw new CommandError(`the name ${name} is taken`, {
          cause: error,
          hint: `\`berth rm ${name}\` removes what has it.`,
        });
      });
    if (flags.boolean('json')) output.json({ id, name });
    return 0;
  },
};
