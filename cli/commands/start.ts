import { ContainerState } from '#proto/generated/cri.ts';
import { startError, stayAttached } from '../attached-run.ts';
import { type CommandBody, UsageError } from '../command.ts';
import { detachKeysFlag } from '../container-flags.ts';
import { findContainer, forEach } from '../containers.ts';
import { jsonFlag } from '../flags.ts';
import { startContainer } from '../lifecycle.ts';
import { containerName } from '../names.ts';
import { parseDetachKeys, startStatus } from '../session.ts';

export const command: CommandBody = {
  description: [
    'Starts containers that are created or have ended. What they wrote is still there. A pod that was stopped comes up again, with a new address.',
    'Containers of a kubelet are its own: it makes new ones in their place.',
  ],
  arguments: [{ name: 'CONTAINER', required: true, repeatable: true, complete: 'container' }],
  flags: [
    { long: 'attach', short: 'a', kind: 'boolean', help: 'stay with it: its output comes here' },
    {
      long: 'interactive',
      short: 'i',
      kind: 'boolean',
      help: 'with what is typed here as its input; implies -a',
    },
    detachKeysFlag,
    jsonFlag,
  ],
  examples: [{ text: 'back into the shell that was left', command: 'berth start -ai calm_jetty' }],
  async run(context) {
    const { args, flags, output, signal, connect } = context;
    const connection = await connect();
    const isInteractive = flags.boolean('interactive');
    if (!isInteractive && !flags.boolean('attach'))
      return forEach(
        args,
        async (given) => {
          const container = await findContainer(connection, given, { signal });
          await startContainer(connection, container, { signal });
          return given;
        },
        { output, flags },
      );
    if (args.length > 1) throw new UsageError('-a and -i take one container');
    const container = await findContainer(connection, args[0]!, { signal });
    const name = containerName(container);
    const isRunning = container.state === ContainerState.CONTAINER_RUNNING;
    const { prepareStart } = await import('../lifecycle.ts');
    if (!isRunning) await prepareStart(connection, container, { signal });
    const { info } = await connection.call(
      'ContainerStatus',
      { container_id: container.id, verbose: true },
      { signal },
    );
    const { config } = JSON.parse(info.info ?? '{}') as { config?: { hasTty?: boolean } };
    return stayAttached(connection, context, {
      id: container.id,
      name,
      hasTty: config?.hasTty === true,
      isInteractive,
      detachKeys: parseDetachKeys(flags.string('detach-keys')!),
      async begin() {
        if (isRunning) return;
        await connection.call('StartContainer', { container_id: container.id }, { signal }).catch((error) => {
          throw startError(error, name, startStatus);
        });
      },
    });
  },
};
