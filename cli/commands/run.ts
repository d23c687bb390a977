import { ContainerState } from '#proto/generated/cri.ts';
import { startError, stayAttached } from '../attached-run.ts';
import { type CommandBody, UsageError } from '../command.ts';
import type { Connection } from '../connection.ts';
import { containerFlags, detachKeysFlag, runFlags } from '../container-flags.ts';
import { jsonFlag } from '../flags.ts';
import { joinedName } from '../joined-pod.ts';
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
    if (flags.boolean('rm') && flags.boolean('detach') && joinedName(flags) !== undefined)
      throw new UsageError(
        '--rm with -d and --network container: nobody would remove it, because its pod goes on',
        'Leave one of them out, and remove it with `berth rm`.',
      );
    const { containerId, podId, name, isJoined } = await makeContainer(
      context,
      connection,
      flags.boolean('rm'),
    );
    const start = async (): Promise<void> => {
      try {
        await connection.call('StartContainer', { container_id: containerId }, { signal });
      } catch (error) {
        // One that never ran would only be in the way.
        if (flags.boolean('rm') && !isJoined)
          await connection.call('RemovePodSandbox', { pod_sandbox_id: podId });
        throw startError(error, name, startStatus);
      }
    };
    if (flags.boolean('detach')) {
      await start();
      if (flags.boolean('json')) output.json({ id: containerId, name, podId });
      else output.line(containerId);
      return 0;
    }
    const stayed = stayAttached(connection, context, {
      id: containerId,
      name,
      hasTty: flags.boolean('tty'),
      isInteractive: flags.boolean('interactive'),
      detachKeys,
      begin: start,
    });
    if (!isJoined || !flags.boolean('rm')) return stayed;
    return stayed.finally(() => removeEnded(connection, containerId));
  },
};

/** Of a pod that goes on, which therefore removes nothing. One that was left by the detach keys goes on too. */
async function removeEnded(connection: Connection, id: string): Promise<void> {
  const { containers } = await connection.call('ListContainers', { filter: { id } });
  if (containers.some(({ state }) => state !== ContainerState.CONTAINER_RUNNING))
    await connection.call('RemoveContainer', { container_id: id });
}
