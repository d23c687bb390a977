/** The types a configuration value can have: how it is read from TOML or from a flag, and how it is shown. */
import { isIP } from 'node:net';
import { isAbsolute } from 'node:path';

export interface ValueType<T> {
  /** For the documentation: `integer from 0 to 10`. */
  readonly title: string;
  /** The value, from what TOML holds. Throws Error with a message that continues "key must be ...". */
  parse(value: unknown): T;
  /** From the text of a flag, in the form `parse` takes. */
  fromFlag(text: string): unknown;
}

function fail(problem: string): never {
  throw new Error(problem);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

const asText = (text: string): unknown => text;

export const text: ValueType<string> = {
  title: 'string',
  parse: (value) => (typeof value === 'string' ? value : fail(`a string, not ${shown(value)}`)),
  fromFlag: asText,
};

export const boolean: ValueType<boolean> = {
  title: 'boolean',
  parse: (value) => (typeof value === 'boolean' ? value : fail(`true or false, not ${shown(value)}`)),
  fromFlag: (flag) => (flag === 'true' ? true : flag === 'false' ? false : flag),
};

/** A whole number within bounds, both included. */
export function integer(min: number, max: number): ValueType<number> {
  const range = `a whole number from ${min} to ${max}`;
  return {
    title: `integer, ${min} to ${max}`,
    parse: (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
        ? value
        : fail(`${range}, not ${shown(value)}`),
    fromFlag: (flag) => (/^-?\d+$/.test(flag) ? Number(flag) : flag),
  };
}

/** A number from 0 to 1. */
export const ratio: ValueType<number> = {
  title: 'number, 0 to 1',
  parse: (value) =>
    typeof value === 'number' && value >= 0 && value <= 1
      ? value
      : fail(`a number from 0 to 1, not ${shown(value)}`),
  fromFlag: (flag) => (/^\d*\.?\d+$/.test(flag) ? Number(flag) : flag),
};

/** A URL of HTTP without user name and password; '' stands for off. */
export const httpUrl: ValueType<string> = {
  title: 'http:// or https:// URL, or "" for off',
  parse: (value) => {
    if (typeof value !== 'string') fail(`a string, not ${shown(value)}`);
    if (value === '') return value;
    if (!URL.canParse(value) || !/^https?:\/\//.test(value)) {
      fail(`a URL such as "http://127.0.0.1:4318", not ${shown(value)}`);
    }
    const { username, password } = new URL(value);
    if (username !== '' || password !== '') fail('a URL without user name and password');
    return value;
  },
  fromFlag: asText,
};

/** One of a few words. */
export function oneOf<const Words extends readonly string[]>(words: Words): ValueType<Words[number]> {
  const quoted = words.map((word) => JSON.stringify(word)).join(', ');
  return {
    title: `one of ${quoted}`,
    parse: (value) =>
      typeof value === 'string' && words.includes(value)
        ? value
        : fail(`one of ${quoted}, not ${shown(value)}`),
    fromFlag: asText,
  };
}

/** An absolute path; '' too where `optional`. */
export function path(options: { optional?: boolean } = {}): ValueType<string> {
  return {
    title: options.optional ? 'absolute path or ""' : 'absolute path',
    parse: (value) => {
      if (typeof value !== 'string') fail(`a string, not ${shown(value)}`);
      if (value === '' && options.optional) return value;
      if (!isAbsolute(value) || value.includes('\0')) fail(`an absolute path, not ${shown(value)}`);
      return value;
    },
    fromFlag: asText,
  };
}

/** A list; a flag holds its items separated by commas. */
export function list<T>(item: ValueType<T>): ValueType<readonly T[]> {
  return {
    title: `list of: ${item.title}`,
    parse: (value) => {
      if (!Array.isArray(value)) fail(`a list, not ${shown(value)}`);
      return value.map((member) => item.parse(member));
    },
    fromFlag: (flag) => (flag === '' ? [] : flag.split(',').map((member) => item.fromFlag(member))),
  };
}

/** `host:port` with a numeric address or a name; '' stands for off. */
export const listenAddress: ValueType<string> = {
  title: 'HOST:PORT or "" for off',
  parse: (value) => {
    if (typeof value !== 'string') fail(`a string, not ${shown(value)}`);
    if (value === '') return value;
    const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):(\d{1,5})$/.exec(value);
    if (!match || Number(match[2]) > 65535) fail(`HOST:PORT, such as "127.0.0.1:9095", not ${shown(value)}`);
    return value;
  },
  fromFlag: asText,
};

export const ipAddress: ValueType<string> = {
  title: 'IP address',
  parse: (value) =>
    typeof value === 'string' && isIP(value) > 0 ? value : fail(`an IP address, not ${shown(value)}`),
  fromFlag: asText,
};

/** A subnet in CIDR form, `auto` for one of Berth's choice, or '' for none. */
export function subnet(family: 4 | 6): ValueType<string> {
  const example = family === 4 ? '10.88.0.0/16' : 'fd00:88::/64';
  return {
    title: `IPv${family} subnet, "auto" or "" for none`,
    parse: (value) => {
      if (typeof value !== 'string') fail(`a string, not ${shown(value)}`);
      if (value === '' || value === 'auto') return value;
      const match = /^([^/]+)\/(\d{1,3})$/.exec(value);
      if (!match || isIP(match[1]!) !== family || Number(match[2]) > (family === 4 ? 30 : 126)) {
        fail(`an IPv${family} subnet such as "${example}", "auto" or "", not ${shown(value)}`);
      }
      return value;
    },
    fromFlag: asText,
  };
}

/** Permission bits of a file, written as octal digits in a string: TOML's own octal form is easily forgotten. */
export const fileMode: ValueType<number> = {
  title: 'octal file mode in quotes',
  parse: (value) =>
    typeof value === 'string' && /^0?[0-7]{3}$/.test(value)
      ? Number.parseInt(value, 8)
      : fail(`an octal file mode in quotes, such as "0660", not ${shown(value)}`),
  fromFlag: asText,
};
