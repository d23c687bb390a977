import { type CommandBody, UsageError } from '../command.ts';
import { findContainer } from '../containers.ts';
import { jsonFlag, quietFlag } from '../flags.ts';

export const command: CommandBody = {
  description: [
    'Makes an image of a container: its own image with what it wrote as one more layer. What is in volumes and other mounts is not part of it. A running container stands still meanwhile, unless --no-pause says otherwise.',
    'Changes are instructions of a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR.',
  ],
  arguments: [
    { name: 'CONTAINER', required: true, complete: 'container' },
    { name: 'NAME', help: 'NAME[:TAG] of the new image', complete: 'image' },
  ],
  flags: [
    {
      long: 'change',
      short: 'c',
      kind: 'string',
      valueName: 'INSTRUCTION',
      repeatable: true,
      help: 'change the config of the image, as in a Dockerfile',
    },
    { long: 'message', short: 'm', kind: 'string', valueName: 'TEXT', help: 'a note for the history' },
    { long: 'author', short: 'a', kind: 'string', valueName: 'NAME', help: 'who made it' },
    {
      long: 'pause',
      short: 'p',
      kind: 'boolean',
      help: 'let a running container stand still meanwhile',
      default: 'true',
    },
    {
      long: 'no-pause',
      kind: 'boolean',
      help: 'let it run on: what it writes meanwhile may be in the image by half',
    },
    { ...quietFlag, help: 'print the id only' },
    jsonFlag,
  ],
  examples: [
    {
      text: 'with another command',
      command: `berth commit -c 'CMD ["nginx", "-g", "daemon off;"]' -m 'my pages' web web:mine`,
    },
  ],
  async run({ args, flags, output, signal, connect }) {
    if (flags.has('pause') && flags.boolean('no-pause'))
      throw new UsageError('--pause and --no-pause contradict each other');
    const connection = await connect();
    const { id } = await findContainer(connection, args[0]!, { signal });
    const { image_id } = await connection.admin(
      'CommitContainer',
      {
        container_id: id,
        reference: args[1] ?? '',
        author: flags.string('author') ?? '',
        message: flags.string('message') ?? '',
        changes: flags.list('change'),
        pause: flags.boolean('pause') && !flags.boolean('no-pause'),
      },
      { signal },
    );
    if (flags.boolean('json')) {
      output.json({ image_id });
      return 0;
    }
    output.line(image_id);
    if (args[1] === undefined && !flags.boolean('quiet'))
      output.note('It has no name: `berth tag` gives it one.');
    return 0;
  },
};
