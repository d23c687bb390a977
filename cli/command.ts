/**
 * What a command of `berth` is. The table of all of them (`commands.ts`) is the one source of parsing, help, completion and
 * man pages; `run` is called with what was parsed.
 *
 * Exit statuses: 0 success, 1 failure, 2 a mistake in the command line. `run` and `exec` follow docker: the command's own
 * status, or 125 (Berth failed), 126 (cannot be executed), 127 (not found).
 */
import type { Connection } from './connection.ts';
import type { FlagValues } from './flag-values.ts';
import type { Output } from './output.ts';

/** What a shell offers for a word. An array is the choice itself. */
export type CompletionKind =
  | 'none'
  | 'file'
  | 'container'
  | 'runningContainer'
  | 'pod'
  | 'image'
  | 'volume'
  | 'command'
  | readonly string[];

/**
 * How a flag's value is read and checked. boolean: none; size: bytes, `512m`; duration: `90`, `1m30s`; time: a duration
 * back from now, Unix seconds or RFC 3339.
 */
export type FlagKind = 'boolean' | 'string' | 'integer' | 'number' | 'size' | 'duration' | 'time';

export interface Flag {
  /** Without dashes. */
  readonly long: string;
  /** One letter. */
  readonly short?: string;
  readonly kind: FlagKind;
  /** What help calls the value, in capitals; for all kinds but boolean. */
  readonly valueName?: string;
  /** May be given several times, and all values count. */
  readonly repeatable?: boolean;
  /** What holds without it, as text: help shows it, and `FlagValues` gives it. */
  readonly default?: string;
  /** One sentence without a full stop, lower case. */
  readonly help: string;
  readonly complete?: CompletionKind;
  /** The only values it takes. */
  readonly choices?: readonly string[];
}

export interface Argument {
  /** In capitals. */
  readonly name: string;
  readonly required?: boolean;
  /** Takes all that follow; the last argument only. */
  readonly repeatable?: boolean;
  readonly help?: string;
  readonly complete?: CompletionKind;
}

export interface Example {
  readonly text: string;
  readonly command: string;
}

export interface ExitStatus {
  readonly status: string;
  readonly meaning: string;
}

export interface CommandContext {
  /** The words that are no flags. */
  readonly args: readonly string[];
  readonly flags: FlagValues;
  readonly output: Output;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Aborted by the first SIGINT or SIGTERM. The second ends the process. */
  readonly signal: AbortSignal;
  /**
   * Hands SIGINT, SIGTERM, SIGHUP and SIGQUIT to `listener`, which passes them on to a container, instead of aborting
   * `signal`. Returns what gives them back.
   */
  takeSignals(listener: (name: NodeJS.Signals) => void): () => void;
  /** The table of all commands, for those that tell of it. */
  readonly commands: readonly CommandEntry[];
  /** The daemon, connected when first asked. */
  connect(): Promise<Connection>;
  /**
   * For what cannot be taken back. Asks on the terminal and throws when the answer is no; `--yes` answers yes. Without a
   * terminal and without `--yes` it throws a usage error.
   */
  confirm(question: string): Promise<void>;
}

/** What a file in `commands/` exports as `command`. */
export interface CommandBody {
  /** Paragraphs for help and the man page, each a string. */
  readonly description: readonly string[];
  readonly arguments: readonly Argument[];
  readonly flags: readonly Flag[];
  readonly examples?: readonly Example[];
  /** Beyond 0, 1 and 2. */
  readonly exitStatuses?: readonly ExitStatus[];
  /** The exit status of a failure that says nothing else; 1 unless given. */
  readonly failureStatus?: number;
  /** Options end at the first word that is none, for commands whose last arguments are another program's command line. */
  readonly stopsAtFirstArgument?: boolean;
  /** Resolves with the exit status; undefined is 0. Throws CommandError, or what a connection throws. */
  run(context: CommandContext): Promise<number | undefined>;
}

export type CommandGroup = 'containers' | 'images' | 'node';

/** A row of the table. */
export interface CommandEntry {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly group: CommandGroup;
  /** One sentence without a full stop, as lists of commands show it. */
  readonly summary: string;
  /** Not offered in help and completion. */
  readonly hidden?: boolean;
  load(): Promise<{ readonly command: CommandBody }>;
}

export type Command = Omit<CommandEntry, 'load'> & CommandBody;

export const groupTitles: Readonly<Record<CommandGroup, string>> = {
  containers: 'Containers and pods',
  images: 'Images',
  node: 'Node',
};

/** By name or alias. */
export function findCommand(table: readonly CommandEntry[], name: string): CommandEntry | undefined {
  return table.find((entry) => entry.name === name || entry.aliases?.includes(name) === true);
}

/** A row with the body from its file. */
export async function loadCommand(entry: CommandEntry): Promise<Command> {
  const { load, ...row } = entry;
  const { command } = await load();
  return { ...row, ...command };
}

/** All that are offered, loaded. */
export function loadAllCommands(table: readonly CommandEntry[]): Promise<Command[]> {
  return Promise.all(table.filter(({ hidden }) => hidden !== true).map(loadCommand));
}

/** A failure to be said to the user. `hint` is the next step, a sentence. */
export class CommandError extends Error {
  readonly hint: string | undefined;
  readonly exitStatus: number | undefined;

  constructor(
    message: string,
    options: { readonly hint?: string; readonly exitStatus?: number; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CommandError';
    this.hint = options.hint;
    this.exitStatus = options.exitStatus;
  }
}

/** A mistake in the command line: exit status 2, also of commands with a failure status of their own. */
export class UsageError extends CommandError {
  constructor(message: string, hint?: string) {
    super(message, { ...(hint === undefined ? {} : { hint }), exitStatus: 2 });
    this.name = 'UsageError';
  }
}
