import { once } from 'node:events';
import type { CommandBody } from '../command.ts';
import { findContainer } from '../containers.ts';
import { jsonFlag } from '../flags.ts';

export const command: CommandBody = {
  description: [
    'Lists what a container changed in its root file system: A added, C changed, D deleted. What was made for its mounts is left out. A folder is changed when something in it is.',
  ],
  arguments: [{ name: 'CONTAINER', required: true, complete: 'container' }],
  flags: [jsonFlag],
  async run({ args, flags, output, signal, connect }) {
    const connection = await connect();
    const { id } = await findContainer(connection, args[0]!, { signal });
    const changes: { kind: string; path: string }[] = [];
    for await (const message of connection.adminStream('DiffContainer', { container_id: id }, { signal }))
      for (const { kind, path } of message.changes) {
        if (flags.boolean('json')) changes.push({ kind, path: path.toString('utf8') });
        else {
          const line = Buffer.concat([Buffer.from(`${kind} `), path, Buffer.from('\n')]);
          if (!output.stdout.write(line)) await once(output.stdout, 'drain');
        }
      }
    if (flags.boolean('json')) output.json(changes);
    return 0;
  },
};
