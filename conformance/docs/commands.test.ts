/** docs/commands.md names every command, and no command or flag that there is not. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Command, findCommand, loadAllCommands } from '#cli/command.ts';
import { commands } from '#cli/commands.ts';
import { globalFlags } from '#cli/flags.ts';
import { projectRoot } from '../cache.ts';

const text = readFileSync(join(projectRoot, 'docs/commands.md'), 'utf8');
const all = await loadAllCommands(commands);
const rows = text.split('\n').flatMap((line) => {
  const cells = /^\| `berth ([a-z-]+)` \|/.test(line)
    ? line.split('|').map((cell) => cell.trim())
    : undefined;
  return cells === undefined ? [] : [{ name: /berth ([a-z-]+)/.exec(cells[1]!)![1]!, cells }];
});

function unknownFlags(command: Command, words: readonly string[]): string[] {
  const flags = [...command.flags, ...globalFlags];
  return words.filter((word) =>
    word.startsWith('--')
      ? !flags.some(({ long }) => word === `--${long}`)
      : word.startsWith('-') && !flags.some(({ short }) => word === `-${short}`),
  );
}

test('every command has its row, once', () => {
  expect(rows.map(({ name }) => name).toSorted()).toEqual(all.map(({ name }) => name).toSorted());
});

test('every command and flag that is named is there', () => {
  for (const [, span] of text.matchAll(/`berth ([^`]+)`/g)) {
    const [name, ...words] = span!.split(' ');
    const command = all.find((one) => one.name === findCommand(commands, name!)?.name);
    expect(command, `berth ${name}`).toBeDefined();
    expect(unknownFlags(command!, words), `berth ${span}`).toEqual([]);
  }
  // Flags that stand alone in a row are of its command, unless another program is named before them.
  for (const { name, cells } of rows) {
    const own = (cells[4] ?? '').matchAll(/(?<!podman's |docker's |crictl's )`(-[^`]+)`/g);
    for (const [, span] of own)
      expect(
        unknownFlags(all.find((one) => one.name === name)!, span!.split(' ')),
        `${name}: ${span}`,
      ).toEqual([]);
  }
  expect(all.filter(({ flags }) => flags.some(({ long }) => long === 'json')).length).toBeGreaterThan(25);
});
