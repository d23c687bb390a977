/** The values of a command's flags after parsing, each read by the kind that its row declares. */
import { type Flag, UsageError } from './command.ts';
import { parseDuration, parseSize, parseTime } from './quantity.ts';

export class FlagValues {
  readonly #flags: ReadonlyMap<string, Flag>;
  readonly #given: ReadonlyMap<string, readonly string[]>;

  /** `given` holds texts by long name, in the order of the command line. Throws UsageError for a text of the wrong kind. */
  constructor(flags: readonly Flag[], given: ReadonlyMap<string, readonly string[]>) {
    this.#flags = new Map(flags.map((flag) => [flag.long, flag]));
    this.#given = given;
    for (const [long, texts] of given) for (const text of texts) checkText(this.#flags.get(long)!, text);
  }

  /** Whether it stood on the command line. */
  has(long: string): boolean {
    this.#flagOf(long);
    return this.#given.has(long);
  }

  boolean(long: string): boolean {
    return this.#last(long) === 'true';
  }

  string(long: string): string | undefined {
    return this.#last(long);
  }

  integer(long: string): number | undefined {
    const text = this.#last(long);
    return text === undefined ? undefined : Number(text);
  }

  number(long: string): number | undefined {
    return this.integer(long);
  }

  /** In bytes. */
  size(long: string): number | undefined {
    const text = this.#last(long);
    return text === undefined ? undefined : readSize(text);
  }

  durationMs(long: string): number | undefined {
    const text = this.#last(long);
    return text === undefined ? undefined : readDuration(text);
  }

  /** In Unix milliseconds. */
  timeMs(long: string): number | undefined {
    const text = this.#last(long);
    return text === undefined ? undefined : parseTime(text, Date.now());
  }

  /** All values of a repeatable flag. */
  list(long: string): readonly string[] {
    const flag = this.#flagOf(long);
    return this.#given.get(long) ?? (flag.default === undefined ? [] : [flag.default]);
  }

  #last(long: string): string | undefined {
    return this.#given.get(long)?.at(-1) ?? this.#flagOf(long).default;
  }

  #flagOf(long: string): Flag {
    const flag = this.#flags.get(long);
    if (flag === undefined) throw new Error(`flag --${long} is not declared by the command that reads it`);
    return flag;
  }
}

/** -1 stands for "no limit" where docker takes it. */
function readSize(text: string): number | undefined {
  return text === '-1' ? -1 : parseSize(text);
}

function readDuration(text: string): number | undefined {
  return text === '-1' ? -1 : parseDuration(text);
}

function checkText({ long, kind, choices }: Flag, text: string): void {
  const wrong = (expected: string): UsageError =>
    new UsageError(`--${long}: ${JSON.stringify(text)} is not ${expected}`);
  if (choices !== undefined && !choices.includes(text)) throw wrong(`one of ${choices.join(', ')}`);
  if (kind === 'integer' && !/^[+-]?\d{1,15}$/.test(text)) throw wrong('a whole number');
  if (kind === 'number' && !/^[+-]?(\d+(\.\d*)?|\.\d+)$/.test(text)) throw wrong('a number');
  if (kind === 'size' && readSize(text) === undefined) throw wrong('a size such as 512m or 2g');
  if (kind === 'duration' && readDuration(text) === undefined) throw wrong('a time such as 90s or 1m30s');
  if (kind === 'time' && parseTime(text, 0) === undefined)
    throw wrong('a time such as 10m (ago), 2026-01-31T12:00:00Z or Unix seconds');
}
