#!/usr/bin/env node
/** berth: finds the command in the table, parses its words, runs it, and says what went wrong in a sentence. */
import { messageOf } from '#base/errors.ts';
import { nearestName } from '#daemon/config/nearest-name.ts';
import {
  type Command,
  type CommandContext,
  CommandError,
  findCommand,
  loadCommand,
  UsageError,
} from './command.ts';
import { commands } from './commands.ts';
import type { Connection } from './connection.ts';
import { FlagValues } from './flag-values.ts';
import { globalFlags } from './flags.ts';
import { Output } from './output.ts';
import { parseCommandWords, parseWords } from './parse.ts';

/** Ends by signal as a shell counts it. */
const interruptedStatus = 130;

interface Invocation {
  readonly command: Command | undefined;
  readonly flags: FlagValues;
  readonly args: readonly string[];
}

/** Finds and parses. `command` is undefined where help for all of berth is wanted. */
async function readCommandLine(words: readonly string[]): Promise<Invocation> {
  const versionFlag = { long: 'version', short: 'v', kind: 'boolean', help: '' } as const;
  const before = parseWords(words, { flags: [...globalFlags, versionFlag], stopsAtFirstArgument: true });
  const asked = before.given.has('version') ? 'version' : before.args[0];
  if (asked === undefined)
    return { command: undefined, flags: new FlagValues(globalFlags, before.given), args: [] };
  const entry = findCommand(commands, asked);
  if (entry === undefined) {
    const names = commands.flatMap(({ name, aliases, hidden }) => (hidden ? [] : [name, ...(aliases ?? [])]));
    const near = nearestName(asked, names);
    throw new UsageError(
      `there is no command ${asked}`,
      near === undefined ? '`berth help` lists the commands.' : `did you mean berth ${near}?`,
    );
  }
  const command = await loadCommand(entry);
  // What stood before the command's name is parsed with it.
  const early = words.slice(0, words.length - before.args.length).filter((word) => word !== '--');
  const own = before.args.slice(1);
  const { flags, args } = parseCommandWords(
    [...early.filter((word) => !/^(-v|--version)$/.test(word)), ...own],
    {
      ...command,
      // The command's own flag comes first: `-h` of run is its host name.
      flags: [...command.flags, ...globalFlags.map((flag) => withoutTaken(flag, command))],
    },
  );
  return { command, flags, args };
}

function withoutTaken(flag: (typeof globalFlags)[number], command: Command): (typeof globalFlags)[number] {
  if (flag.short === undefined || !command.flags.some(({ short }) => short === flag.short)) return flag;
  const { short: _taken, ...rest } = flag;
  return rest;
}

/** The first signal asks the command to end, the second ends the process, unless the command takes them itself. */
function followSignals(): Pick<CommandContext, 'signal' | 'takeSignals'> {
  const controller = new AbortController();
  let listener: ((name: NodeJS.Signals) => void) | undefined;
  const onSignal = (name: NodeJS.Signals): void => {
    if (listener !== undefined) {
      listener(name);
      return;
    }
    if (controller.signal.aborted || name === 'SIGQUIT') process.exit(interruptedStatus);
    controller.abort(new CommandError('interrupted', { exitStatus: interruptedStatus }));
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(name, onSignal);
  return {
    signal: controller.signal,
    takeSignals(next) {
      listener = next;
      return () => {
        listener = undefined;
      };
    },
  };
}

async function run({ command, flags, args }: Invocation, output: Output): Promise<number> {
  if (command === undefined || flags.boolean('help')) {
    const { commandHelp, overview } = await import('./help.ts');
    output.write(command === undefined ? overview(commands) : commandHelp(command));
    return 0;
  }
  let connection: Connection | undefined;
  const { signal, takeSignals } = followSignals();
  try {
    const status = await command.run({
      args,
      flags,
      output,
      environment: process.env,
      signal,
      takeSignals,
      commands,
      async connect() {
        // gRPC is half of the time that a start takes: help and mistakes do without it.
        const { Connection } = await import('./connection.ts');
        const address = flags.has('address') ? undefined : process.env.BERTH_ADDRESS;
        connection ??= new Connection(address || flags.string('address')!);
        return connection;
      },
      async confirm(question) {
        const { confirm } = await import('./confirm.ts');
        await confirm(question, command.flags.some(({ long }) => long === 'yes') && flags.boolean('yes'));
      },
    });
    return status ?? 0;
  } catch (error) {
    // What a cancelled call says is only the echo of the signal.
    if (signal.aborted && !(error instanceof UsageError)) return interruptedStatus;
    throw error;
  } finally {
    connection?.close();
  }
}

function report(error: unknown, output: Output, invocation: Invocation | undefined): number {
  const { command } = invocation ?? {};
  output.note(`${output.paintError('berth:', 'red')} ${messageOf(error)}`);
  if (error instanceof CommandError && error.hint !== undefined) output.note(error.hint);
  else if (error instanceof UsageError && command !== undefined)
    output.note(`\`berth ${command.name} --help\` shows how it is used.`);
  const isDebug = invocation?.flags.boolean('debug') === true;
  if ((isDebug || !(error instanceof CommandError)) && error instanceof Error)
    output.note(output.paintError(stackOf(error), 'dim'));
  return (error instanceof CommandError ? error.exitStatus : undefined) ?? command?.failureStatus ?? 1;
}

function stackOf(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\ncaused by ${stackOf(error.cause)}` : own;
}

async function main(): Promise<void> {
  // A pager that was left, `head`, a terminal that closed: nobody reads on, which is no failure of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || error.code === 'EIO') process.exit(0);
    throw error;
  });
  const words = process.argv.slice(2);
  const output = new Output({
    stdout: process.stdout,
    stderr: process.stderr,
    mayColour: !process.env.NO_COLOR && process.env.TERM !== 'dumb' && !words.includes('--no-color'),
  });
  let invocation: Invocation | undefined;
  try {
    invocation = await readCommandLine(words);
    process.exitCode = await run(invocation, output);
  } catch (error) {
    process.exitCode = report(error, output, invocation);
  }
}

main();
