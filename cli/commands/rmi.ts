import type { CommandBody } from '../command.ts';
import { forEach } from '../containers.ts';
import { jsonFlag } from '../flags.ts';

export const command: CommandBody = {
  description: [
    'Takes names away from images. An image goes with its last name, or as a whole by its id. One that a container uses is kept unless it is forced; even then its layers stay on the disk until the container goes.',
  ],
  arguments: [{ name: 'IMAGE', required: true, repeatable: true, help: 'names or ids', complete: 'image' }],
  flags: [
    {
      long: 'force',
      short: 'f',
      kind: 'boolean',
      help: 'also one that is used, or that has several names and is given by id',
    },
    jsonFlag,
  ],
  run({ args, flags, output, signal, connect }) {
    return connect().then((connection) =>
      forEach(
        args,
        async (image) => {
          const { untagged, deleted } = await connection.admin(
            'DropImage',
            { image, force: flags.boolean('force') },
            { signal },
          );
          const lines = [
            ...untagged.map((name) => `untagged ${name}`),
            ...deleted.map((id) => `deleted ${id}`),
          ];
          return lines.join('\n');
        },
        { output, flags },
      ),
    );
  },
};
