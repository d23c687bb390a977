/** Help texts, made from the table of commands. */
import { type Argument, type Command, type CommandEntry, type Flag, groupTitles } from './command.ts';
import { globalFlags } from './flags.ts';

const width = 90;

/** What `berth` and `berth help` print. */
export function overview(commands: readonly CommandEntry[]): string {
  const lines = [
    'berth: containers, pods and images of this node',
    '',
    'Usage: berth [FLAGS] COMMAND [ARGUMENTS]',
  ];
  const shown = commands.filter(({ hidden }) => hidden !== true);
  const column = Math.max(...shown.map(({ name }) => name.length));
  for (const [group, title] of Object.entries(groupTitles)) {
    const rows = shown.filter((entry) => entry.group === group);
    if (rows.length === 0) continue;
    lines.push('', `${title}:`);
    for (const { name, summary } of rows) lines.push(`  ${name.padEnd(column)}   ${summary}`);
  }
  lines.push('', 'Flags of every command:', ...flagLines(globalFlags));
  lines.push('', '`berth help COMMAND` shows a command with its flags and examples.');
  return `${lines.join('\n')}\n`;
}

/** `berth run [FLAGS] IMAGE [COMMAND...]` */
export function usageLine({
  name,
  arguments: args,
  flags,
}: Pick<Command, 'name' | 'arguments' | 'flags'>): string {
  return ['berth', name, ...(flags.length > 0 ? ['[FLAGS]'] : []), ...args.map(argumentText)].join(' ');
}

function argumentText({ name, required, repeatable }: Argument): string {
  const text = repeatable === true ? `${name}...` : name;
  return required === true ? text : `[${text}]`;
}

/** What `berth COMMAND --help` prints. */
export function commandHelp(command: Command): string {
  const { description, aliases, arguments: args, flags, examples, exitStatuses } = command;
  const lines = [`Usage: ${usageLine(command)}`, ''];
  for (const paragraph of description) lines.push(...wrap(paragraph, width), '');
  if (aliases !== undefined && aliases.length > 0) lines.push(`Also: ${aliases.join(', ')}`, '');
  const told = args.filter(({ help }) => help !== undefined);
  if (told.length > 0) {
    const column = Math.max(...told.map(({ name }) => name.length));
    lines.push('Arguments:');
    for (const { name, help } of told) lines.push(...hang(`  ${name.padEnd(column)}   `, help!));
    lines.push('');
  }
  if (flags.length > 0) lines.push('Flags:', ...flagLines(flags), '');
  if (examples !== undefined && examples.length > 0) {
    lines.push('Examples:');
    for (const { text, command: words } of examples) lines.push(`  # ${text}`, `  ${words}`);
    lines.push('');
  }
  if (exitStatuses !== undefined && exitStatuses.length > 0) {
    lines.push('Exit status:');
    for (const { status, meaning } of exitStatuses) lines.push(...hang(`  ${status.padEnd(5)}  `, meaning));
    lines.push('');
  }
  lines.push('`berth help` lists the flags of every command.');
  return `${lines.join('\n')}\n`;
}

/** `-e, --env NAME=VALUE`, without a colour or a column. */
export function flagText({ short, long, kind, valueName }: Flag): string {
  const value = kind === 'boolean' ? '' : ` ${valueName ?? 'VALUE'}`;
  return `${short === undefined ? '    ' : `-${short}, `}--${long}${value}`;
}

/** The help of a flag with what the row knows besides. */
export function flagHelp({ help, choices, repeatable, default: value }: Flag): string {
  const more = [
    ...(choices === undefined ? [] : [choices.join(', ')]),
    ...(repeatable === true ? ['may be repeated'] : []),
    ...(value === undefined ? [] : [`default ${value}`]),
  ];
  return more.length === 0 ? help : `${help} (${more.join('; ')})`;
}

function flagLines(flags: readonly Flag[]): string[] {
  const column = Math.min(30, Math.max(...flags.map((flag) => flagText(flag).length)));
  return flags.flatMap((flag) => {
    const text = flagText(flag);
    const head = `  ${text.padEnd(column)}   `;
    return text.length > column
      ? [`  ${text}`, ...hang(' '.repeat(head.length), flagHelp(flag))]
      : hang(head, flagHelp(flag));
  });
}

/** `text` behind `head`, its further lines under its beginning. */
function hang(head: string, text: string): string[] {
  const lines = wrap(text, Math.max(30, width + 10 - head.length));
  return lines.map((line, at) => (at === 0 ? head : ' '.repeat(head.length)) + line);
}

function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
