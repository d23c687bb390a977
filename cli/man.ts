/** Man pages in the macros of man(7), made from the table of commands. */
import { type Command, type Flag, groupTitles } from './command.ts';
import { globalFlags } from './flags.ts';
import { flagHelp, usageLine } from './help.ts';

/** Pages by file name: `berth.1`, and `berth-NAME.1` for each command. */
export function manPages(commands: readonly Command[]): ReadonlyMap<string, string> {
  return new Map([
    ['berth.1', overviewPage(commands)],
    ...commands.map((command): [string, string] => [`berth-${command.name}.1`, commandPage(command)]),
  ]);
}

function head(title: string): string {
  return `.\\" Made by \`node cli/generate.ts\` from the table of commands. Do not edit.\n.TH ${title.toUpperCase()} 1 "" "Berth" "Berth"`;
}

function overviewPage(commands: readonly Command[]): string {
  const lines = [
    head('berth'),
    '.SH NAME',
    roff('berth - containers, pods and images of this node'),
    '.SH SYNOPSIS',
    '.B berth',
    roff('[FLAGS] COMMAND [ARGUMENTS]'),
    '.SH DESCRIPTION',
    roff(
      'Talks to berthd on its socket: by the Kubernetes CRI where that has a call, else by a service of its own beside it.',
    ),
  ];
  for (const [group, title] of Object.entries(groupTitles)) {
    const rows = commands.filter((command) => command.group === group);
    if (rows.length > 0) lines.push(`.SH ${title.toUpperCase()}`);
    for (const { name, summary } of rows) lines.push('.TP', `.BR berth-${roff(name)} (1)`, roff(summary));
  }
  lines.push('.SH FLAGS OF EVERY COMMAND', ...flagParagraphs(globalFlags));
  lines.push('.SH ENVIRONMENT');
  for (const [name, text] of [
    ['BERTH_ADDRESS', 'The socket of the daemon, unless --address is given.'],
    ['NO_COLOR', 'No colours, whatever it holds.'],
  ] as const)
    lines.push('.TP', `.B ${name}`, roff(text));
  lines.push('.SH EXIT STATUS', ...statusParagraphs([]));
  return `${lines.join('\n')}\n`;
}

function commandPage(command: Command): string {
  const { name, summary, description, aliases, arguments: args, flags, examples, exitStatuses } = command;
  const lines = [
    head(`berth-${name}`),
    '.SH NAME',
    roff(`berth-${name} - ${summary}`),
    '.SH SYNOPSIS',
    roff(usageLine(command)),
    '.SH DESCRIPTION',
    ...description.flatMap((paragraph) => ['.PP', roff(paragraph)]),
  ];
  if (aliases !== undefined && aliases.length > 0) lines.push('.PP', roff(`Also: ${aliases.join(', ')}.`));
  const told = args.filter(({ help }) => help !== undefined);
  if (told.length > 0) lines.push('.SH ARGUMENTS');
  for (const { name: argument, help } of told) lines.push('.TP', `.I ${roff(argument)}`, roff(help!));
  if (flags.length > 0) lines.push('.SH FLAGS', ...flagParagraphs(flags));
  if (examples !== undefined && examples.length > 0) lines.push('.SH EXAMPLES');
  for (const { text, command: words } of examples ?? [])
    lines.push('.PP', roff(`${text}:`), '.PP', '.RS', '.nf', roff(words), '.fi', '.RE');
  lines.push('.SH EXIT STATUS', ...statusParagraphs(exitStatuses ?? []));
  lines.push('.SH SEE ALSO', '.BR berth (1)');
  return `${lines.join('\n')}\n`;
}

function flagParagraphs(flags: readonly Flag[]): string[] {
  return flags.flatMap((flag) => {
    const names = [...(flag.short === undefined ? [] : [`-${flag.short}`]), `--${flag.long}`];
    const value = flag.kind === 'boolean' ? '' : ` \\fI${roff(flag.valueName ?? 'VALUE')}\\fR`;
    return [
      '.TP',
      `\\fB${names.map((name) => roff(name)).join('\\fR, \\fB')}\\fR${value}`,
      roff(flagHelp(flag)),
    ];
  });
}

function statusParagraphs(own: NonNullable<Command['exitStatuses']>): string[] {
  const all = [
    { status: '0', meaning: 'Success.' },
    { status: '1', meaning: 'Failure; a sentence on standard error says which.' },
    { status: '2', meaning: 'A mistake in the command line.' },
  ];
  const replaced = [...all.filter(({ status }) => own.every((row) => row.status !== status)), ...own];
  return replaced.flatMap(({ status, meaning }) => ['.TP', `.B ${roff(status)}`, roff(meaning)]);
}

/** Text as roff takes it: backslashes and hyphens stay what they are, and no line begins with a control character. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .split('\n')
    .map((line) => (/^[.']/.test(line) ? `\\&${line}` : line))
    .join('\n');
}
