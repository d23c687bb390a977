import { ContainerState } from '#proto/generated/cri.ts';
import { stayAttached } from '../attached-run.ts';
import { type CommandBody, CommandError } from '../command.ts';
import { detachKeysFlag } from '../container-flags.ts';
import { findContainer } from '../containers.ts';
import { containerName } from '../names.ts';
import { parseDetachKeys } from '../session.ts';

export const command: CommandBody = {
  description: [
    "Joins a running container's own input and output, from now on; `berth logs` shows what was before. Ends with the container, with its exit status, or by the detach keys.",
  ],
  arguments: [{ name: 'CONTAINER', required: true, complete: 'runningContainer' }],
  flags: [{ long: 'no-stdin', kind: 'boolean', help: 'only look' }, detachKeysFlag],
  async run(context) {
    const { args, flags, signal, connect } = context;
    const connection = await connect();
    const container = await findContainer(connection, args[0]!, { signal });
    const name = containerName(container);
    if (container.state !== ContainerState.CONTAINER_RUNNING)
      throw new CommandError(`${name} does not run`, {
        hint: `\`berth start -ai ${name}\` starts and attaches.`,
      });
    const { info } = await connection.call(
      'ContainerStatus',
      { container_id: container.id, verbose: true },
      { signal },
    );
    const { config } = JSON.parse(info.info ?? '{}') as { config?: { hasTty?: boolean; hasStdin?: boolean } };
    return stayAttached(connection, context, {
      id: container.id,
      name,
      hasTty: config?.hasTty === true,
      isInteractive: config?.hasStdin === true && !flags.boolean('no-stdin'),
      detachKeys: parseDetachKeys(flags.string('detach-keys')!),
    });
  },
};
