import type { CommandBody } from '../command.ts';
import { jsonFlag } from '../flags.ts';

export const command: CommandBody = {
  description: ["Gives an image another name. A name that was another image's is taken from it."],
  arguments: [
    { name: 'IMAGE', required: true, help: 'a name or id', complete: 'image' },
    { name: 'NAME', required: true, help: 'NAME[:TAG]', complete: 'image' },
  ],
  flags: [jsonFlag],
  examples: [{ text: 'to be pushed', command: 'berth tag app registry.example.com/team/app:1.4' }],
  async run({ args, flags, output, signal, connect }) {
    const connection = await connect();
    const { reference, image_id } = await connection.admin(
      'TagImage',
      { image: args[0]!, target: args[1]! },
      { signal },
    );
    if (flags.boolean('json')) output.json({ reference, image_id });
    else output.line(reference);
    return 0;
  },
};
