import { expect, test } from 'vitest';
import { type Flag, UsageError } from './command.ts';
import { checkArguments, parseCommandWords, parseWords } from './parse.ts';

const flags: readonly Flag[] = [
  { long: 'interactive', short: 'i', kind: 'boolean', help: '' },
  { long: 'tty', short: 't', kind: 'boolean', help: '' },
  { long: 'env', short: 'e', kind: 'string', repeatable: true, help: '' },
  { long: 'publish', short: 'p', kind: 'string', repeatable: true, help: '' },
  { long: 'memory', short: 'm', kind: 'size', help: '' },
  { long: 'time', kind: 'duration', default: '10', help: '' },
  { long: 'network', kind: 'string', choices: ['host', 'none'], help: '' },
];
const run = {
  flags,
  stopsAtFirstArgument: true,
  arguments: [
    { name: 'IMAGE', required: true },
    { name: 'WORD', repeatable: true },
  ],
};

function parse(...words: string[]) {
  const { given, args } = parseWords(words, run);
  return { given: Object.fromEntries(given), args };
}

test('short flags stand together, the last with its value attached or behind', () => {
  expect(parse('-it', '-p80:80', '-e', 'A=1', '-eB=2', '-itp=1:2', 'image').given).toEqual({
    interactive: ['true', 'true'],
    tty: ['true', 'true'],
    publish: ['80:80', '1:2'],
    env: ['A=1', 'B=2'],
  });
});

test('long flags take their value behind = or a blank, booleans only behind =', () => {
  expect(parse('--env=A=1', '--env', 'B', '--tty=false', '--interactive', 'image').given).toEqual({
    env: ['A=1', 'B'],
    tty: ['false'],
    interactive: ['true'],
  });
  expect(() => parse('--tty=maybe')).toThrow('--tty takes no value but true or false');
});

test("what follows the image is the command's, whatever it looks like", () => {
  expect(parse('-i', 'image', 'sh', '-c', '-it --env').args).toEqual(['image', 'sh', '-c', '-it --env']);
  expect(parse('--', '-i').args).toEqual(['-i']);
  expect(parseWords(['a', '-i', 'b'], { flags }).args).toEqual(['a', 'b']);
  expect(parse('-').args).toEqual(['-']);
});

test('mistakes name the flag and the nearest one', () => {
  expect(() => parse('--nework', 'host')).toThrow(UsageError);
  expect(() => parse('--netwrk', 'host')).toThrow(
    expect.objectContaining({ hint: 'did you mean --network?' }),
  );
  expect(() => parse('-ix')).toThrow('unknown flag -x in -ix');
  expect(() => parse('-tty')).toThrow('unknown flag -y');
  expect(() => parse('-env=A=1')).not.toThrow(); // -e with the value nv=A=1, as docker has it
  expect(() => parse('--env')).toThrow('flag --env needs a value');
});

test('values are checked by their kind before anything is done', () => {
  const read = (...words: string[]) => parseCommandWords([...words, 'image'], run).flags;
  expect(read('-m', '512m').size('memory')).toBe(512 * 2 ** 20);
  expect(read('--time', '1m30s').durationMs('time')).toBe(90_000);
  expect(read().durationMs('time')).toBe(10_000);
  expect(() => read('-m', 'much')).toThrow('--memory: "much" is not a size such as 512m or 2g');
  expect(() => read('--network', 'bridge')).toThrow('is not one of host, none');
  expect(() => read().string('undeclared')).toThrow('not declared');
});

test('arguments are counted', () => {
  expect(() => checkArguments([], run.arguments)).toThrow('IMAGE is missing');
  expect(() => checkArguments(['a', 'b', 'c'], run.arguments)).not.toThrow();
  expect(() => checkArguments(['a', 'b'], [{ name: 'A' }])).toThrow('there is no place for the argument "b"');
});
