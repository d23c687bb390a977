import { startError } from '../attached-run.ts';
import { type CommandBody, UsageError } from '../command.ts';
import { detachKeysFlag } from '../container-flags.ts';
import { findContainer } from '../containers.ts';
import { openSession, ownStreams, parseDetachKeys, sessionError, startStatus } from '../session.ts';

export const command: CommandBody = {
  description: [
    'Runs a further command in a running container, with its namespaces, limits and environment. With -it this terminal is its terminal.',
    'Leaving it, by the detach keys too, ends the command.',
  ],
  arguments: [
    { name: 'CONTAINER', required: true, complete: 'runningContainer' },
    { name: 'COMMAND', required: true, repeatable: true },
  ],
  flags: [
    {
      long: 'detach',
      short: 'd',
      kind: 'boolean',
      help: 'start it and leave it; what it writes is dropped, and it ends with the container or the daemon',
    },
    {
      long: 'interactive',
      short: 'i',
      kind: 'boolean',
      help: 'with what is typed or piped here as its input',
    },
    { long: 'tty', short: 't', kind: 'boolean', help: 'give it a terminal' },
    {
      long: 'env',
      short: 'e',
      kind: 'string',
      valueName: 'NAME=VALUE',
      repeatable: true,
      help: 'set an environment variable',
    },
    {
      long: 'user',
      short: 'u',
      kind: 'string',
      valueName: 'USER[:GROUP]',
      help: 'name or number of the user; a group is a number',
    },
    { long: 'workdir', short: 'w', kind: 'string', valueName: 'PATH', help: 'working directory' },
    detachKeysFlag,
  ],
  examples: [
    { text: 'a shell beside what runs', command: 'berth exec -it web sh' },
    { text: 'a file into a container', command: 'berth exec -i web sh -c "cat > /tmp/x" < x' },
  ],
  exitStatuses: [
    { status: '125', meaning: 'Berth could not do it.' },
    { status: '126', meaning: 'The command cannot be executed.' },
    { status: '127', meaning: 'The command was not found.' },
    { status: 'other', meaning: "The command's own exit status." },
  ],
  failureStatus: 125,
  stopsAtFirstArgument: true,
  async run({ args, flags, output, environment, signal, connect }) {
    const [given, ...cmd] = args;
    const tty = flags.boolean('tty');
    const interactive = flags.boolean('interactive');
    const isDetached = flags.boolean('detach');
    if (isDetached && (tty || interactive))
      throw new UsageError('nobody stays with what --detach starts: leave -i and -t out');
    const streams = ownStreams({ interactive, tty });
    const detachKeys = parseDetachKeys(flags.string('detach-keys')!);
    const connection = await connect();
    const { id } = await findContainer(connection, given!, { signal });
    const request = { container_id: id, cmd, tty, stdin: interactive, stdout: true, stderr: !tty };
    const env = flags.list('env').flatMap((text) => {
      const value = text.includes('=')
        ? text
        : environment[text] === undefined
          ? undefined
          : `${text}=${environment[text]}`;
      return value === undefined ? [] : [value];
    });
    if (isDetached) {
      const own = { env, working_dir: flags.string('workdir') ?? '', user: flags.string('user') ?? '' };
      await connection.admin('ExecDetached', { container_id: id, cmd, ...own }, { signal }).catch((error) => {
        throw startError(error, given!, startStatus);
      });
      return 0;
    }
    const isPlain = !flags.has('user') && !flags.has('workdir') && env.length === 0;
    const { url } = isPlain
      ? await connection.call('Exec', request, { signal })
      : await connection.admin(
          'Exec',
          {
            ...request,
            env,
            working_dir: flags.string('workdir') ?? '',
            user: flags.string('user') ?? '',
          },
          { signal },
        );
    const session = await openSession(url, { hasTty: tty, ...streams, detachKeys, signal });
    const end = await session.end;
    if (end.kind === 'exited') return end.exitCode;
    if (end.kind === 'detached') {
      if (!signal.aborted) output.note('\nleft; the command is ended');
      return signal.aborted ? 130 : 0;
    }
    throw sessionError(end, cmd[0]!);
  },
};
