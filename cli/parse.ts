/**
 * Command lines as docker takes them: `-it`, `-p 80:80`, `-p80:80`, `--name=x`, `--name x`, `--flag=false`, `--` ends the
 * flags. Source: the conventions of POSIX 12.2 and GNU long options.
 */
import { nearestName } from '#daemon/config/nearest-name.ts';
import { type Argument, type Flag, UsageError } from './command.ts';
import { FlagValues } from './flag-values.ts';

export interface Grammar {
  readonly flags: readonly Flag[];
  readonly stopsAtFirstArgument?: boolean;
}

export interface Parsed {
  readonly given: ReadonlyMap<string, readonly string[]>;
  readonly args: readonly string[];
}

/** Splits words into flags and arguments. Throws UsageError naming the flag, and the nearest known one. */
export function parseWords(words: readonly string[], grammar: Grammar): Parsed {
  const given = new Map<string, string[]>();
  const args: string[] = [];
  const put = (flag: Flag, text: string): void => {
    const texts = given.get(flag.long);
    if (texts === undefined) given.set(flag.long, [text]);
    else texts.push(text);
  };
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at]!;
    const nextValue = (spelled: string): string => {
      at += 1;
      const value = words[at];
      if (value === undefined) throw new UsageError(`flag ${spelled} needs a value`);
      return value;
    };
    if (word === '--') {
      args.push(...words.slice(at + 1));
      break;
    }
    if (word.startsWith('--')) readLong(word, grammar.flags, put, nextValue);
    else if (word.startsWith('-') && word !== '-') readShort(word, grammar.flags, put, nextValue);
    else if (grammar.stopsAtFirstArgument === true) {
      args.push(...words.slice(at));
      break;
    } else args.push(word);
  }
  return { given, args };
}

type Put = (flag: Flag, text: string) => void;

function readLong(
  word: string,
  flags: readonly Flag[],
  put: Put,
  nextValue: (spelled: string) => string,
): void {
  const equals = word.indexOf('=');
  const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
  const flag = flags.find(({ long }) => long === name);
  if (flag === undefined) throw unknownFlag(`--${name}`, name, flags);
  const attached = equals < 0 ? undefined : word.slice(equals + 1);
  if (flag.kind !== 'boolean') put(flag, attached ?? nextValue(`--${name}`));
  else if (attached === undefined || attached === 'true' || attached === 'false')
    put(flag, attached ?? 'true');
  else throw new UsageError(`flag --${name} takes no value but true or false`);
}

/** `-it`: several without values, the last of which may take one, attached or following. */
function readShort(
  word: string,
  flags: readonly Flag[],
  put: Put,
  nextValue: (spelled: string) => string,
): void {
  for (let at = 1; at < word.length; at += 1) {
    const letter = word[at]!;
    const flag = flags.find(({ short }) => short === letter);
    if (flag === undefined) {
      const meant =
        word.length > 2 ? flags.find(({ long }) => long === word.slice(1).split('=')[0]) : undefined;
      throw new UsageError(
        `unknown flag -${letter}${word.length > 2 ? ` in ${word}` : ''}`,
        meant && `did you mean --${meant.long}?`,
      );
    }
    if (flag.kind === 'boolean') {
      put(flag, 'true');
      continue;
    }
    const rest = word.slice(at + 1);
    if (rest === '') put(flag, nextValue(`-${letter}`));
    else put(flag, rest.startsWith('=') ? rest.slice(1) : rest);
    return;
  }
}

function unknownFlag(spelled: string, name: string, flags: readonly Flag[]): UsageError {
  const near = nearestName(
    name,
    flags.map(({ long }) => long),
  );
  return new UsageError(
    `unknown flag ${spelled}`,
    near === undefined ? undefined : `did you mean --${near}?`,
  );
}

/** Checks how many arguments there are. Throws UsageError naming what is missing or too much. */
export function checkArguments(args: readonly string[], expected: readonly Argument[]): void {
  const required = expected.filter((argument) => argument.required === true).length;
  const missing = expected[args.length];
  if (args.length < required && missing !== undefined) throw new UsageError(`${missing.name} is missing`);
  if (args.length > expected.length && expected.at(-1)?.repeatable !== true)
    throw new UsageError(`there is no place for the argument ${JSON.stringify(args[expected.length])}`);
}

/** Parses and checks all of a command's words. */
export function parseCommandWords(
  words: readonly string[],
  command: Grammar & { readonly arguments: readonly Argument[] },
): { flags: FlagValues; args: readonly string[] } {
  const { given, args } = parseWords(words, command);
  const flags = new FlagValues(command.flags, given);
  // Help is given whatever else is missing.
  if (!given.has('help')) checkArguments(args, command.arguments);
  return { flags, args };
}
