import { startError, stayAttached } from '../attached-run.ts';
import type { CommandBody } from '../command.ts';
import { containerFlags, detachKeysFlag, runFlags } from '../container-flags.ts';
import { jsonFlag } from '../flags.ts';
import { makeContainer } from '../make-container.ts';
import { parseDetachKeys, startStatus } from '../session.ts';

export const command: CommandBody = {
  description: [
    'Makes a container of an image and starts a command in it: pulls the image if it is not here, gives the container a writable layer and an interface with an address, and starts it. With -it this terminal is its terminal.',
    'It is a pod of one container, which kubectl-like tools see too. When its command ends the container stays, stopped, with what it wrote: `berth start` starts it again, `berth rm` removes it.',
    'Flags stand before the image; all words after it are the command.',
  ],
  arguments: [
    {
      name: 'IMAGE',
      required: true,
      help: 'a name such as debian, registry.example/app:1.2 or an id',
      complete: 'image',
    },
    { name: 'COMMAND', repeatable: true, help: "replaces the image's own command" },
  ],
  flags: [
    ...runFlags,
    ...containerFlags,
    detachKeysFlag,
    { ...jsonFlag, help: 'with -d: print id and name as JSON' },
  ],
  examples: [
    { text: 'a shell in a new container', command: 'berth run -it debian bash' },
    {
      text: 'a web server, with a port of this machine',
      command: 'berth run -d --name web -p 8080:80 nginx',
    },
    {
      text: 'with a folder of this machine, and gone afterwards',
      command: 'berth run --rm -v ./src:/src:ro debian ls /src',
    },
  ],
  exitStatuses: [
    { status: '125', meaning: 'Berth could not do it.' },
    { status: '126', meaning: 'The command cannot be executed.' },
    { status: '127', meaning: 'The command was not found.' },
    { status: 'other', meaning: "The command's own exit status; 128 and the signal if one ended it." },
  ],
  failureStatus: 125,
  stopsAtFirstArgument: true,
  async run(context) {
    const { flags, output, signal, connect } = context;
    const detachKeys = parseDetachKeys(flags.string('detach-keys')!);
    const connection = await connect();
    const { containerId, podId, name } = await makeContainer(context, connection, flags.boolean('rm'));
    const start = async (): Promise<void> => {
      try {
        await connection.call('StartContainer', { container_id: containerId }, { signal });
      } catch (error) {
        // One that never ran would only be in the way.
        if (flags.boolean('rm')) await connection.call('RemovePodSandbox', { pod_sandbox_id: podId });
        throw startError(error, name, startStatus);
      }
    };
    if (flags.boolean('detach')) {
      await start();
      if (flags.boolean('json')) output.json({ id: containerId, name, podId });
      else output.line(containerId);
      return 0;
    }
    return stayAttached(connection, context, {
      id: containerId,
      name,
      hasTty: flags.boolean('tty'),
      isInteractive: flags.boolean('interactive'),
      detachKeys,
      begin: start,
    });
  },
};
