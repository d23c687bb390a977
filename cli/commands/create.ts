import type { CommandBody } from '../command.ts';
import { containerFlags } from '../container-flags.ts';
import { jsonFlag } from '../flags.ts';
import { makeContainer } from '../make-container.ts';

export const command: CommandBody = {
  description: ['Makes a container as `berth run` does, without starting it, and prints its id.'],
  arguments: [
    { name: 'IMAGE', required: true, complete: 'image' },
    { name: 'COMMAND', repeatable: true, help: "replaces the image's own command" },
  ],
  flags: [...containerFlags, jsonFlag],
  examples: [
    { text: 'make now, start later', command: 'berth create --name job debian date && berth start -a job' },
  ],
  stopsAtFirstArgument: true,
  async run(context) {
    const connection = await context.connect();
    const { containerId: id, podId, name } = await makeContainer(context, connection, false);
    if (context.flags.boolean('json')) context.output.json({ id, name, podId });
    else context.output.line(id);
    return 0;
  },
};
