import type { CommandBody } from '../command.ts';
import { findContainer } from '../containers.ts';
import { jsonFlag } from '../flags.ts';
import { portsAnnotation } from '../pod-request.ts';

export const command: CommandBody = {
  description: ['Shows which ports of this machine lead to a container that `berth run -p` made.'],
  arguments: [
    { name: 'CONTAINER', required: true, complete: 'container' },
    { name: 'PORT[/PROTOCOL]', help: 'only what leads to this port' },
  ],
  flags: [jsonFlag],
  async run({ args, flags, output, signal, connect }) {
    const connection = await connect();
    const { annotations } = await findContainer(connection, args[0]!, { signal });
    const wanted = args[1] === undefined ? undefined : args[1].includes('/') ? args[1] : `${args[1]}/tcp`;
    const ports = (annotations[portsAnnotation] ?? '')
      .split(', ')
      .filter(Boolean)
      .map((text) => {
        const [host = '', container = ''] = text.split('->');
        return { host, container };
      })
      .filter(({ container }) => wanted === undefined || container === wanted);
    if (flags.boolean('json')) output.json(ports);
    else
      for (const { host, container } of ports)
        output.line(wanted === undefined ? `${container} -> ${host}` : host);
    return ports.length === 0 && wanted !== undefined ? 1 : 0;
  },
};
