/** What holds for every command of the table, whoever adds one. */
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { type Flag, findCommand, loadAllCommands } from './command.ts';
import { commands } from './commands.ts';
import { type Candidate, complete, completionScript, filesMarker, shells } from './completion.ts';
import { globalFlags } from './flags.ts';
import { commandHelp, overview } from './help.ts';
import { manPages } from './man.ts';
import { parseCommandWords } from './parse.ts';

const all = await loadAllCommands(commands);

function duplicates(words: readonly (string | undefined)[]): string[] {
  const given = words.filter((word) => word !== undefined);
  return given.filter((word, at) => given.indexOf(word) !== at);
}

test('names and aliases mean one command each', () => {
  expect(duplicates(commands.flatMap(({ name, aliases = [] }) => [name, ...aliases]))).toEqual([]);
});

test.each(all.map((command) => [command.name, command] as const))(
  '%s: its flags are sound and its texts fit',
  (_, command) => {
    const { flags, summary, description } = command;
    const taken = [...flags, ...globalFlags.filter(({ long }) => long !== 'help')];
    expect(duplicates(taken.map(({ long }) => long))).toEqual([]);
    expect(duplicates(flags.map(({ short }) => short))).toEqual([]);
    for (const text of [summary, ...flags.map(({ help }) => help)]) expect(text).not.toMatch(/\.$|^$/);
    expect(description.length).toBeGreaterThan(0);
    const isTold = ({ kind, valueName }: Flag) => kind === 'boolean' || valueName !== undefined;
    expect(flags.filter((flag) => !isTold(flag)).map(({ long }) => long)).toEqual([]);
    for (const { long, default: value, choices } of flags)
      if (value !== undefined && choices !== undefined) expect(choices, long).toContain(value);
    expect(
      commandHelp(command)
        .split('\n')
        .filter((line) => line.length > 125),
    ).toEqual([]);
  },
);

/** Commands whose result is another program's, a file or a text for people. */
const withoutJson = ['exec', 'attach', 'cp', 'save', 'port-forward', 'login', 'logout', 'completion', 'help'];

test('results can be had as JSON', () => {
  const lacking = all.filter(({ flags }) => !flags.some(({ long }) => long === 'json'));
  expect(lacking.map(({ name }) => name).filter((name) => !withoutJson.includes(name))).toEqual([]);
});

/** The commands of berth in an example's line of shell, those in `$(...)` apart from the one around them. */
function berthCommands(line: string): string[][] {
  // What stands in quotes is one word, whatever is in it.
  const plain = line.replaceAll(/'[^']*'|"[^"]*"/g, 'Q');
  const inner = [...plain.matchAll(/[$<]\(([^)]*)\)/g)].map((match) => match[1]!);
  return [plain.replaceAll(/[$<]\([^)]*\)/g, 'X'), ...inner]
    .flatMap((text) => text.split(/&&|\||;/))
    .map((part) =>
      part
        .trim()
        .replace(/ [<>].*$/, '')
        .replace(/^sudo /, ''),
    )
    .filter((part) => part.startsWith('berth '))
    .map((part) => part.split(/\s+/).slice(1));
}

test('every example parses', () => {
  for (const { name, examples = [] } of all)
    for (const { command } of examples) {
      const found = berthCommands(command);
      expect(found.length, `${name}: ${command}`).toBeGreaterThan(0);
      for (const [verb, ...words] of found) {
        const entry = all.find((row) => row.name === findCommand(commands, verb!)?.name);
        expect(entry, `${name}: ${command}`).toBeDefined();
        const grammar = { ...entry!, flags: [...entry!.flags, ...globalFlags] };
        expect(() => parseCommandWords(words, grammar), `${name}: ${command}`).not.toThrow();
      }
    }
});

test('man pages have no line that roff takes for a request, and one for every command', () => {
  const pages = manPages(all);
  expect([...pages.keys()].sort()).toEqual(['berth.1', ...all.map(({ name }) => `berth-${name}.1`)].sort());
  for (const [name, text] of pages)
    for (const line of text.split('\n'))
      expect(line, name).toMatch(/^(\.(TH|SH|TP|PP|B|BR|I|RS|RE|nf|fi)\b|\.\\"|[^.']|\\&|$)/);
  expect(pages.get('berth-run.1')).toContain('\\fB\\-v\\fR, \\fB\\-\\-volume\\fR');
});

test('the overview names every command that is offered', () => {
  const text = overview(commands);
  for (const { name } of all) expect(text).toContain(`  ${name} `);
  expect(text).not.toContain('__complete');
});

const names: Readonly<Record<string, readonly Candidate[]>> = {
  container: [{ text: 'web' }, { text: 'old', help: 'debian' }],
  runningContainer: [{ text: 'web' }],
  image: [{ text: 'docker.io/library/debian:latest' }],
  pod: [{ text: 'pod-a' }],
  volume: [{ text: 'data' }],
};
const offered = async (...words: string[]) =>
  (await complete(words, commands, async (kind) => names[kind] ?? [])).map(({ text }) => text);

test('completion offers commands, flags, their values, and names from the daemon', async () => {
  expect(await offered('ex')).toEqual(['exec']);
  expect(await offered('rm', '')).toEqual(['web', 'old']);
  expect(await offered('exec', '')).toEqual(['web']);
  expect(await offered('exec', '-it', 'w')).toEqual(['web']);
  expect(await offered('exec', 'web', 'sh', '-')).toEqual([]);
  expect(await offered('run', '--net')).toEqual(['--network']);
  expect(await offered('run', '--network', '')).toEqual(['default', 'host', 'none', 'container:']);
  expect(await offered('volume', 'rm', '')).toEqual(['data']);
  expect(await offered('run', '--network=h')).toEqual(['--network=host']);
  expect(await offered('run', '-it', '--name', 'x', 'docker.io/')).toEqual([
    'docker.io/library/debian:latest',
  ]);
  expect(await offered('run', '-v', '')).toEqual([filesMarker]);
  expect(await offered('--address', '')).toEqual([filesMarker]);
  expect(await offered('completion', 'z')).toEqual(['zsh']);
  expect(await offered('no-such-command', '')).toEqual([]);
});

test('the script for bash is bash', () => {
  for (const shell of shells) expect(completionScript(shell)).toContain('__complete');
  execFileSync('bash', ['-n'], { input: completionScript('bash') });
});

test('in bash a word is completed by what berth says', () => {
  const script = `COMP_WORDS=(bin/berth run --netw); COMP_CWORD=2; _berth; echo "\${COMPREPLY[@]}"`;
  const found = execFileSync('bash', ['-c', `${completionScript('bash')}\n${script}`], { encoding: 'utf8' });
  expect(found).toBe('--network\n');
});
